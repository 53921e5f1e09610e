"""Methods that compare features: what `hint` and `relation` promise beside the contract."""

import types
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.features import standardised_mse
from distill.lesson import Lesson
from distill.methods import Shapes, Sides, hint, relation
from shards.errors import BadSettings
from train.models import Output

N, L, C = 6, 8, 37
ALL = torch.ones(N, dtype=torch.bool)
STUDENT = Shapes(L, C, {"sequence": (L, 4), "rnn2": (L, 6), "conv5": (4, 2, L + 1)})
TEACHER = Shapes(L, C, {"sequence": (L, 4), "rnn2": (L, 10), "conv5": (5, 2, L + 1)})
SIDES = Sides(None, STUDENT, TEACHER)


def random_values(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def answers(seed: int, shapes: Shapes) -> dict[str, Tensor]:
    return {name: random_values(seed, N, *shape) for name, shape in shapes.features.items()}


def lesson(features: dict[str, Tensor], valid: Tensor = ALL, trust: Tensor | None = None, steps: int = L):
    batch: Any = types.SimpleNamespace(valid=valid)
    return Lesson(batch, random_values(9, N, steps, C).log_softmax(-1), features, trust=trust)


def make(module, sides: Sides = SIDES, **settings):
    torch.manual_seed(0)
    return module.Method(module.Settings(**settings), sides)


def pearson(x: Tensor, y: Tensor) -> Tensor:
    """The mean over the channels of rho over samples and positions of [N,D,P]."""
    pairs = zip(x.transpose(0, 1).flatten(1), y.transpose(0, 1).flatten(1), strict=True)
    return torch.stack([torch.corrcoef(torch.stack(pair))[0, 1] for pair in pairs]).mean()


def test_c10_the_mean_loss_is_one_less_pearson():
    x, y = random_values(1, N, 5, L), random_values(2, N, 5, L)
    found = standardised_mse(x, y, ALL)
    assert float(found.mean()) == pytest.approx(float(1 - pearson(x, y)), abs=1e-5)
    assert torch.allclose(standardised_mse(x, x, ALL), torch.zeros(N))


def test_c10_positive_affine_maps_of_a_channel_of_either_side_change_nothing():
    x, y = random_values(1, N, 5, L), random_values(2, N, 5, L)
    scale, offset = 0.1 + random_values(3, 1, 5, 1).abs(), 3 * random_values(4, 1, 5, 1)
    plain = standardised_mse(x, y, ALL)
    assert torch.allclose(standardised_mse(scale * x + offset, y, ALL), plain, atol=1e-5)
    assert torch.allclose(standardised_mse(x, scale * y + offset, ALL), plain, atol=1e-5)
    assert torch.allclose(standardised_mse(x, scale * x + offset, ALL), torch.zeros(N), atol=1e-5)


def test_c10_samples_that_do_not_count_change_no_other_and_constant_channels_are_finite():
    x, y = random_values(1, N, 5, L), random_values(2, N, 5, L)
    counted = torch.tensor([True, False, True, True, False, True])
    found = standardised_mse(x, y, counted)
    alone = standardised_mse(x[counted], y[counted], ALL[:4])
    assert torch.allclose(found[counted], alone, atol=1e-6)
    assert found[~counted].tolist() == [0.0, 0.0]
    x[:, 2] = 0.0
    x.requires_grad_()
    standardised_mse(x, y, counted).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_c10_with_an_adapter_that_is_the_identity_equal_features_cost_nothing():
    method = make(hint, Sides(None, STUDENT, STUDENT), taps=["sequence", "conv5"])
    features = answers(1, STUDENT)
    assert method(Output(random_values(0, N, L, C), features=features), lesson(features)).min() > 0
    with torch.no_grad():
        for adapter in method.adapters:
            adapter.weight.copy_(torch.eye(4)[..., None])
    mapped = {name: 3 * feature + 1 for name, feature in features.items()}
    found = method(Output(random_values(0, N, L, C), features=features), lesson(mapped))
    assert found.abs().max() < 1e-5


def test_c10_pairs_of_taps_each_have_an_adapter_that_learns():
    method = make(hint, taps=["rnn2", "conv5"], student_taps=["sequence", "conv5"])
    assert method.taps == ("rnn2", "conv5")
    assert [tuple(a.weight.shape) for a in method.adapters] == [(10, 4, 1), (5, 4, 1)]
    student = {n: f.requires_grad_() for n, f in answers(1, STUDENT).items()}
    method(Output(random_values(0, N, L, C), features=student), lesson(answers(2, TEACHER))).sum().backward()
    assert all(p.grad.abs().sum() > 0 for p in method.parameters())
    assert student["rnn2"].grad is None
    assert student["sequence"].grad.abs().sum() > 0
    again = make(hint, taps=["rnn2", "conv5"], student_taps=["sequence", "conv5"])
    assert all(torch.equal(a, b) for a, b in zip(method.parameters(), again.parameters(), strict=True))


def test_c10_an_adapter_learns_what_the_teacher_makes_of_the_same_features():
    method, features = make(hint), answers(1, STUDENT)
    mixed = features["rnn2"] @ random_values(3, 6, 10)
    optimiser = torch.optim.Adam(method.parameters(), lr=0.05)
    for _ in range(150):
        loss = method(Output(random_values(0, N, L, C), features=features), lesson({"rnn2": mixed})).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.02


@pytest.mark.parametrize(("tap", "shape"), [("rnn2", (2 * L, 10)), ("conv5", (5, 4, 2 * L))])
def test_c10_a_teacher_with_other_steps_is_interpolated_to_the_students(tap, shape):
    method = make(hint, Sides(None, STUDENT, Shapes(2 * L, C, {tap: shape})), taps=[tap])
    told = lesson({tap: random_values(2, N, *shape)}, steps=2 * L)
    assert torch.isfinite(method(Output(random_values(0, N, L, C), features=answers(1, STUDENT)), told)).all()


def test_c10_a_ramp_in_time_stays_a_ramp_for_other_numbers_of_steps():
    def ramp(steps: int) -> Tensor:
        at = (torch.arange(steps) + 0.5) / steps
        return at[None, :, None] * torch.tensor([1.0, 2.0, -1.0, 0.5]) + torch.arange(N)[:, None, None]

    sides = Sides(None, Shapes(L, C, {"rnn2": (L, 4)}), Shapes(4 * L, C, {"rnn2": (4 * L, 4)}))
    method = make(hint, sides)
    with torch.no_grad():
        method.adapters[0].weight.copy_(torch.eye(4)[..., None])
    found = method(
        Output(random_values(0, N, L, C), features={"rnn2": ramp(L)}), lesson({"rnn2": ramp(4 * L)})
    )
    assert found.max() < 1e-3


@pytest.mark.parametrize(
    ("module", "settings", "said"),
    [
        (
            hint,
            {"taps": ["rnn3"]},
            r"hint.taps: the teacher's features: no 'rnn3'; did you mean 'rnn2'",
        ),
        (hint, {"taps": ["rnn2"], "student_taps": ["x"]}, r"student_taps: the student's features: no 'x'"),
        (hint, {"taps": ["conv5"], "student_taps": ["rnn2"]}, r"a sequence \(L, D\) teaches a sequence"),
        (hint, {"taps": []}, r"method.hint.taps: empty"),
        (hint, {"taps": ["rnn2"], "student_taps": ["a", "b"]}, r"one for each of method.hint.taps=rnn2"),
        (relation, {"tap": "rnn3"}, r"method.relation.tap: the teacher's features: no 'rnn3'"),
        (relation, {"student_tap": "x"}, r"method.relation.student_tap: the student's features: no 'x'"),
        (relation, {"angle": -1.0}, r"method.relation.angle: -1.0, must be"),
    ],
)
def test_what_cannot_be_compared_is_refused(module, settings, said):
    with pytest.raises(BadSettings, match=said):
        make(module, **settings)


@pytest.mark.parametrize("settings", [{"angle": 0.0}, {"distance": 0.0}, {}])
def test_relations_do_not_change_by_moving_turning_and_scaling_all_points_of_a_side(settings):
    method = make(relation, **settings)
    mine, theirs = random_values(1, N, 6), random_values(2, N, 10)
    plain = method.relations(mine, theirs)
    turn = torch.linalg.qr(random_values(3, 6, 6))[0]
    assert torch.allclose(method.relations(3 * mine @ turn + 2, theirs), plain, rtol=1e-4)
    assert torch.allclose(method.relations(mine, 0.1 * theirs - 5), plain, rtol=1e-4)
    assert torch.allclose(method.relations(mine, 2 * mine @ turn), torch.zeros(N), atol=1e-5)


def test_relations_are_means_over_pairs_and_triples():
    mine, theirs = random_values(1, N, 6), random_values(2, N, 10)
    i, j, k = 2, 0, 5
    between = [torch.cdist(x, x) / torch.pdist(x).mean() for x in (mine, theirs)]
    huber = torch.nn.functional.smooth_l1_loss(*between, reduction="none").sum(1) / (N - 1)
    assert torch.allclose(make(relation, distance=1.0, angle=0.0).relations(mine, theirs), huber, rtol=1e-4)
    cosine = relation.cosines(mine[None] - mine[:, None])[i, j, k]
    expected = torch.nn.functional.cosine_similarity(mine[j] - mine[i], mine[k] - mine[i], dim=0)
    assert float(cosine) == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize("tap", ["rnn2", ""])
def test_relations_leave_out_samples_that_do_not_count(tap):
    method = make(relation, tap=tap)
    assert method.needs == ({"features"} if tap else {"answers"})
    student, told = Output(random_values(0, N, L, C), features=answers(1, STUDENT)), answers(2, TEACHER)
    valid = torch.tensor([True, True, True, True, True, False])
    trust = torch.tensor([True, False, True, True, True, True])
    found = method(student, lesson(told, valid, trust))
    assert found[[1, 5]].tolist() == [0.0, 0.0]
    assert found[[0, 2, 3, 4]].min() > 0
    student.logits[[1, 5]], student.features["rnn2"][[1, 5]] = 7.0, 7.0
    assert torch.equal(method(student, lesson(told, valid, trust)), found)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_relations_of_few_or_equal_points_are_finite(count):
    method = make(relation)
    for points in (random_values(1, count, 6), torch.ones(count + 3, 6)):
        student = points.clone().requires_grad_()
        found = method.relations(student, random_values(2, len(points), 10))
        found.sum().backward()
        assert torch.isfinite(found).all()
        assert torch.isfinite(student.grad).all()


def test_relations_of_the_probabilities_need_neither_features_nor_equal_steps():
    method = make(relation, Sides(None, Shapes(L, C), Shapes(3 * L, C)), tap="")
    found = method(Output(random_values(0, N, L, C)), lesson({}, steps=3 * L))
    assert torch.isfinite(found).all()
    assert found.min() > 0
