"""Methods that compare step against step: what each promises beside the contract."""

import types
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.frames import rows
from distill.lesson import Lesson
from distill.methods import Shapes, Sides, blank_excluded, dist, dkd, hard_frames, logits, masked, mse, nkd
from shards.errors import BadSettings
from train.models import Output

N, L, C = 5, 24, 37
SIDES = Sides(None, Shapes(L, C), Shapes(L, C))


def random_logits(seed: int, scale: float = 4.0) -> Tensor:
    return scale * torch.randn(N, L, C, generator=torch.Generator().manual_seed(seed))


def loss(module, student: Tensor, teacher: Tensor, **settings) -> Tensor:
    """What a method with these settings says of logits."""
    batch: Any = types.SimpleNamespace(valid=torch.ones(len(teacher), dtype=torch.bool))
    method = module.Method(module.Settings(**settings), SIDES)
    return method(Output(student), Lesson(batch, teacher.log_softmax(-1)))


def spiked(*steps: int) -> Tensor:
    """A teacher that sees blanks but for spikes at these steps."""
    out = random_logits(7, 1.0)
    out[..., 0] += 12
    for step in steps:
        out[:, step, 0], out[:, step, 4] = 0.0, 12.0
    return out


def test_k1_gradient_at_temperature_one_is_the_difference_of_probabilities():
    student, teacher = random_logits(1).requires_grad_(), random_logits(2)
    loss(logits, student, teacher, temperature=1.0).mean().backward()
    expected = (student.detach().softmax(-1) - teacher.softmax(-1)) / (N * L)
    assert torch.allclose(student.grad, expected, atol=1e-7)


def test_k1_gradient_size_is_nearly_constant_for_large_temperatures():
    sizes = []
    for tau in (50.0, 100.0, 200.0):
        student = random_logits(1, 1.0).requires_grad_()
        loss(logits, student, random_logits(2, 1.0), temperature=tau).sum().backward()
        sizes.append(float(student.grad.norm()))
    assert max(sizes) / min(sizes) < 1.05


def test_k1_is_tau_squared_times_the_divergence():
    student, teacher = random_logits(1), random_logits(2)
    p, q = (teacher / 3).double().softmax(-1), (student / 3).double().softmax(-1)
    expected = 9 * (p * (p / q).log()).sum(-1).mean(-1)
    assert torch.allclose(loss(logits, student, teacher, temperature=3.0).double(), expected, rtol=1e-4)


@pytest.mark.parametrize("module", [logits, dkd, nkd, dist, masked, blank_excluded])
@pytest.mark.parametrize("value", [0.0, float("nan"), float("inf")])
def test_a_temperature_that_cannot_be_is_refused(module, value):
    with pytest.raises(BadSettings, match=rf"method.\w+.temperature: {value}, must be"):
        module.Settings(temperature=value)


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (dkd, "alpha"),
        (dkd, "beta"),
        (nkd, "gamma"),
        (dist, "beta"),
        (dist, "gamma"),
        (blank_excluded, "blank"),
    ],
)
def test_a_negative_weight_of_a_term_is_refused(module, name):
    with pytest.raises(BadSettings, match=rf"{name}: -1.0, must be"):
        module.Settings(**{name: -1.0})


def test_k2_does_not_change_by_a_constant_added_to_a_row_of_either_side():
    student, teacher = random_logits(1), random_logits(2)
    shifts = 5 * torch.randn(N, L, 1, generator=torch.Generator().manual_seed(3))
    plain = loss(mse, student, teacher)
    assert torch.allclose(loss(mse, student + shifts, teacher - shifts), plain, rtol=1e-4)
    assert torch.allclose(loss(mse, teacher + shifts, teacher), torch.zeros(N), atol=1e-8)


def test_k2_is_the_squared_difference_of_centred_logits_and_the_limit_of_high_temperatures():
    student, teacher = random_logits(1, 1.0), random_logits(2, 1.0)
    a, b = (z - z.mean(-1, keepdim=True) for z in (student, teacher))
    assert torch.allclose(loss(mse, student, teacher), (a - b).square().mean((1, 2)), rtol=1e-5)
    s, t = ((z / 100).double().log_softmax(-1) for z in (student, teacher))
    limit = 100**2 * (t.exp() * (t - s)).sum(-1).mean(-1) * 2  # KL is half a mean square
    assert torch.allclose(loss(mse, student, teacher).double(), limit, rtol=0.02)


def test_hard_frames_is_cross_entropy_against_the_best_class_of_each_step():
    student, teacher = random_logits(1), random_logits(2)
    best = teacher.argmax(-1)
    expected = -student.log_softmax(-1).gather(-1, best[..., None])[..., 0].mean(-1)
    assert torch.allclose(loss(hard_frames, student, teacher), expected, rtol=1e-5)
    assert torch.allclose(loss(hard_frames, student, 9 * teacher), expected, rtol=1e-5)  # however sure


def decoupled(student: Tensor, teacher: Tensor, alpha: float, beta: float) -> float:
    """One row by the book, in doubles."""
    p, s, y = teacher.double().softmax(-1), student.double().softmax(-1), int(teacher.argmax())
    kept = [c for c in range(C) if c != y]
    q, r = p[kept] / p[kept].sum(), s[kept] / s[kept].sum()
    b, d = torch.stack((p[y], 1 - p[y])), torch.stack((s[y], 1 - s[y]))
    return float(alpha * (b * (b / d).log()).sum() + beta * (q * (q / r).log()).sum())


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 0.0), (0.0, 1.0), (1.0, 8.0)])
def test_k3_is_both_halves_by_the_book_for_the_teachers_best_class(alpha, beta):
    student, teacher, tau = random_logits(1), random_logits(2), 4.0
    found = loss(dkd, student, teacher, temperature=tau, alpha=alpha, beta=beta)
    pairs = zip((student / tau).flatten(0, 1), (teacher / tau).flatten(0, 1), strict=True)
    expected = torch.tensor([decoupled(s, t, alpha, beta) for s, t in pairs]).view(N, L).mean(-1)
    assert torch.allclose(found, tau**2 * expected, rtol=1e-4)


def test_k4_the_other_classes_do_not_depend_on_the_target_logit():
    student, teacher = random_logits(1), random_logits(2)
    at = teacher.argmax(-1, keepdim=True)
    method = nkd.Method(nkd.Settings(), SIDES)
    raised = student.scatter_add(-1, at, torch.full((N, L, 1), 3.0))
    before = method.misses(student, teacher, at[..., 0])
    assert torch.allclose(method.misses(raised, teacher, at[..., 0]), before, rtol=1e-4)
    assert not torch.allclose(
        method.hits(raised, teacher, at[..., 0]), method.hits(student, teacher, at[..., 0])
    )


def test_k4_is_both_terms_by_the_book():
    student, teacher = random_logits(1).double(), random_logits(2).double()
    at, tau, gamma = teacher.argmax(-1, keepdim=True), 2.0, 1.5
    hit = -(teacher.softmax(-1).gather(-1, at) * student.log_softmax(-1).gather(-1, at)).sum((1, 2))
    low = torch.zeros_like(teacher).scatter(-1, at, -1e9)
    n, m = ((z / tau + low).softmax(-1) for z in (teacher, student))
    rest = -(n * torch.where(low < 0, 0.0, m.clamp(min=1e-300).log())).sum((1, 2))
    found = loss(nkd, student.float(), teacher.float(), temperature=tau, gamma=gamma)
    assert torch.allclose(found.double(), (hit + gamma * tau**2 * rest) / L, rtol=1e-4)


def test_k5_a_correlation_is_pearsons_and_invariant_to_positive_affine_maps():
    x, y = torch.rand(2, 8, C, generator=torch.Generator().manual_seed(0))
    weights = torch.ones(8, C)
    far, told = dist.distance(x, y, weights)
    expected = [1 - float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(x, y, strict=True)]
    assert torch.allclose(far, torch.tensor(expected), atol=1e-5)
    assert told.all()
    scale = 0.1 + torch.rand(8, 1, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(dist.distance(scale * x + 3, y - scale, weights)[0], far, atol=1e-4)
    assert torch.allclose(dist.distance(-x, y, weights)[0], 2 - far, atol=1e-5)


def test_k5_weights_leave_out_positions_and_constants_tell_nothing():
    x, y = torch.rand(2, 3, 10, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([1.0] * 6 + [0.0] * 4).expand(3, 10)
    assert torch.allclose(
        dist.distance(x, y, weights)[0], dist.distance(x[:, :6], y[:, :6], weights[:, :6])[0]
    )
    far, told = dist.distance(x, torch.full((3, 10), 0.3), weights)
    assert told.tolist() == [0.0] * 3
    assert torch.allclose(far, torch.ones(3))


@pytest.mark.parametrize("mask", ["all", "non-blank", "symmetric", "soft"])
def test_k5_stays_within_its_bounds_and_is_the_sum_of_its_terms(mask):
    student, teacher = random_logits(1), random_logits(2)
    both = loss(dist, student, teacher, beta=2.0, gamma=0.5, temperature=3.0, mask=mask)
    inter = loss(dist, student, teacher, beta=1.0, gamma=0.0, temperature=3.0, mask=mask)
    intra = loss(dist, student, teacher, beta=0.0, gamma=1.0, temperature=3.0, mask=mask)
    assert torch.allclose(both, 2 * inter + 0.5 * intra, rtol=1e-4)
    assert both.min() >= 0
    assert both.max() <= 2 * (2.0 + 0.5) * 9
    opposed = loss(dist, -teacher, teacher, beta=2.0, gamma=0.5, temperature=3.0, mask=mask)
    assert (opposed > both).all()
    assert opposed.max() <= 2 * (2.0 + 0.5) * 9


@pytest.mark.parametrize("module", [masked, dist])
@pytest.mark.parametrize("mask", ["non-blank", "symmetric"])
def test_c1_a_teacher_that_sees_nothing_but_blanks_gives_0(module, mask):
    student = random_logits(1).requires_grad_()
    found = loss(module, student, spiked(), mask=mask)
    found.sum().backward()
    assert found.tolist() == [0.0] * N
    assert not student.grad.any()


def test_c1_without_a_mask_is_k1_and_a_mask_is_blind_to_the_other_steps():
    student, teacher = random_logits(1), spiked(5, 11)
    assert torch.allclose(loss(masked, student, teacher, mask="all"), loss(logits, student, teacher))
    found = loss(masked, student, teacher, mask="symmetric", reach=1)
    kept = [4, 5, 6, 10, 11, 12]
    assert torch.allclose(found, loss(logits, student[:, kept], teacher[:, kept]), rtol=1e-5)
    assert torch.equal(
        loss(masked, student, teacher, mask="symmetric", reach=0),
        loss(masked, student, teacher, mask="non-blank"),
    )


def test_c1_refuses_a_mask_that_does_not_exist():
    with pytest.raises(BadSettings, match=r"method.masked.mask: no 'blank'"):
        masked.Settings(mask="blank")


def test_c2_characters_are_unaffected_by_the_blank_logit_and_weigh_by_the_teachers_doubt():
    student, teacher = random_logits(1), random_logits(2)
    raised = student.clone()
    raised[..., 0] += 3
    plain = loss(blank_excluded, student, teacher, blank=0.0)
    assert torch.allclose(loss(blank_excluded, raised, teacher, blank=0.0), plain, rtol=1e-4)
    assert not torch.allclose(loss(blank_excluded, raised, teacher), loss(blank_excluded, student, teacher))
    p, q, s = teacher.softmax(-1), teacher[..., 1:].softmax(-1), student[..., 1:].softmax(-1)
    weights = 1 - p[..., 0]
    expected = (weights * (q * (q / s).log()).sum(-1)).sum(-1) / weights.sum(-1)
    assert torch.allclose(plain, expected, rtol=1e-4)


def test_c2_weighed_by_the_mean_doubt_is_k1():
    student, teacher = random_logits(1), random_logits(2)
    which = loss(blank_excluded, student, teacher, blank=0.0)
    whether = loss(blank_excluded, student, teacher, blank=1.0) - which
    doubt = 1 - rows(teacher)[..., 0].exp().mean(-1)
    assert torch.allclose(whether + doubt * which, loss(logits, student, teacher, temperature=1.0), rtol=1e-4)
