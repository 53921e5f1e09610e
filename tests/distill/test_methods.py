"""The contract of distill.methods, over the folder: a new method is tested the moment it exists.

What single methods promise beside it stands in test_methods_<topic>.py.
"""

import types
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from distill.codecs import Kept, dense
from distill.lesson import Hypotheses, Lesson
from distill.methods import NEEDS, Shapes, Sides, Weighted
from shards import lookup
from shards.image import ImageSpec
from shards.sample import Record, Word
from train.models import Output
from train.tasks import recognise

N, L, C = 6, 24, 37
MEMBERS = lookup.members("distill.methods")
TASK = recognise.Task(recognise.Settings("36"), ImageSpec())
SHAPES = Shapes(L, C, {"sequence": (L, 8), "rnn1": (L, 12), "rnn2": (L, 10), "conv5": (8, 2, L + 1)})
SIDES = Sides(TASK, SHAPES, SHAPES)
WHOLE = list(range(N))
LOWEST = -65504.0  # what a cache holds of a class that the teacher excludes


def make(name: str, **settings):
    torch.manual_seed(0)  # adapters are drawn at random
    module = lookup.find("distill.methods", name)
    return module.Method(module.Settings(**settings), SIDES)


def flagged(flag: str) -> list[str]:
    return [n for n in MEMBERS if getattr(lookup.find("distill.methods", n).Method, flag, False)]


def random_logits(seed: int = 0, scale: float = 4.0, steps: int = L) -> Tensor:
    return scale * torch.randn(N, steps, C, generator=torch.Generator().manual_seed(seed))


def features(seed: int, rows: list[int] = WHOLE) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {n: torch.randn(N, *shape, generator=generator)[rows] for n, shape in SHAPES.features.items()}


def output(logits: Tensor, rows: list[int] = WHOLE, seed: int = 5) -> Output:
    """What a student answers to these samples, as leaves that gradients can be asked of."""
    made = {n: f.to(logits.dtype).requires_grad_() for n, f in features(seed, rows).items()}
    return Output(logits.detach().requires_grad_(), features=made)


def lesson(logits: Tensor, rows: list[int] = WHOLE, kept: Tensor | None = None, seed: int = 6) -> Lesson:
    """All that a teacher can answer to these samples, for methods to take what they need."""
    count = len(rows)
    readings = torch.tensor([[[11, 12, 13], [11, 12, 0], [14, 0, 0]]]).expand(count, 3, 3)
    lengths = torch.tensor([[3, 2, 1]]).expand(count, 3)
    nbest = Hypotheses(readings, lengths, torch.tensor([[-0.1, -2.5, -5.0]]).expand(count, 3))
    labels = TASK.encode([Record((Word(f"ab{i}a"),), (100, 32), "") for i in rows])
    batch: Any = types.SimpleNamespace(targets=labels, valid=torch.ones(count, dtype=torch.bool))
    answers = logits.log_softmax(-1) if kept is None else kept
    return Lesson(batch, answers, features(seed, rows), nbest, answers.exp())


def holed(told: Lesson, valid: Tensor) -> Lesson:
    """The same where some rows are not valid: a teacher answers those with zeros."""

    def left(answers: Tensor) -> Tensor:
        return torch.where(valid.view(N, *[1] * (answers.dim() - 1)), answers, 0.0)

    batch: Any = types.SimpleNamespace(targets=told.batch.targets, valid=valid)
    kept = {name: left(feature) for name, feature in told.features.items()}
    assert told.occupancy is not None
    return replace(
        told, batch=batch, log_probs=left(told.log_probs), occupancy=left(told.occupancy), features=kept
    )


def pull(loss: Tensor, student: Output) -> list[Tensor]:
    """The gradients that reach what the student answers."""
    leaves = [student.logits, *student.features.values()]
    found = torch.autograd.grad(loss.sum(), leaves, allow_unused=True)
    return [g for g in found if g is not None]


def finite(name: str, student: Output, told: Lesson) -> bool:
    loss = make(name)(student, told)
    return bool(torch.isfinite(loss).all() and all(torch.isfinite(g).all() for g in pull(loss, student)))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loss_is_finite_per_sample_and_differentiable(name):
    student = output(random_logits(1))
    loss = make(name)(student, lesson(random_logits(2)))
    assert loss.shape == (N,)
    assert loss.dtype == torch.float32
    pulled = pull(loss, student)
    assert all(torch.isfinite(g).all() for g in pulled)
    assert sum(g.abs().sum() for g in pulled) > 0


@pytest.mark.parametrize("name", MEMBERS)
def test_a_method_says_what_it_needs_and_where_it_comes_from(name):
    module, method = lookup.find("distill.methods", name), make(name)
    assert isinstance(module.Settings(), Weighted)
    assert method.needs
    assert method.needs <= set(NEEDS)
    assert bool(getattr(method, "taps", ())) == ("features" in method.needs)
    for line in (module.PAPER, module.FORMULA):
        assert line.strip() == line
        assert line
        assert "\n" not in line


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loss_is_finite_for_huge_logits_and_lower_precision(name):
    for logits in (random_logits(1, 1e4), random_logits(1).bfloat16()):
        assert finite(name, output(logits), lesson(random_logits(2, 1e4)))


@pytest.mark.parametrize("symbol", [0, 11])
@pytest.mark.parametrize("name", MEMBERS)
def test_a_loss_is_finite_for_a_teacher_that_excludes_all_classes_but_one(name, symbol):
    sure = torch.full((N, L, C), LOWEST)
    sure[..., symbol] = 0.0
    for scale in (1.0, 1e4):
        assert finite(name, output(random_logits(1, scale)), lesson(sure, kept=sure))


@pytest.mark.parametrize("name", MEMBERS)
def test_autocast_changes_nothing(name):
    student, told = output(random_logits(1)), lesson(random_logits(2))
    plain = make(name)(student, told)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(make(name)(student, told), plain)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loss_does_not_depend_on_the_order_of_the_batch(name):
    student, teacher, method = random_logits(1), random_logits(2), make(name)
    order = [3, 1, 5, 0, 2, 4]
    whole = method(output(student), lesson(teacher))
    turned = method(output(student[order], order), lesson(teacher[order], order))
    assert torch.allclose(turned, whole[order], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in MEMBERS if n not in flagged("couples")])
def test_a_loss_does_not_depend_on_the_rest_of_the_batch(name):
    student, teacher, method = random_logits(1), random_logits(2), make(name)
    whole = method(output(student), lesson(teacher))
    alone = method(output(student[:1], [0]), lesson(teacher[:1], [0]))
    assert torch.allclose(alone, whole[:1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", flagged("couples"))
def test_a_method_that_says_it_couples_samples_does(name):
    student, teacher, method = random_logits(1), random_logits(2), make(name)
    whole = method(output(student), lesson(teacher))
    alone = method(output(student[:3], WHOLE[:3]), lesson(teacher[:3], WHOLE[:3]))
    assert not torch.allclose(alone, whole[:3], rtol=1e-3)


@pytest.mark.parametrize("name", MEMBERS)
def test_rows_that_are_not_valid_change_no_other_and_pull_nothing(name):
    few, valid = [0, 2, 3, 5], torch.tensor([True, False, True, True, False, True])
    logits, teacher, method = random_logits(1), random_logits(2), make(name)
    student = output(logits)
    loss = method(student, holed(lesson(teacher), valid))
    alone = method(output(logits[few], few), lesson(teacher[few], few))
    assert torch.allclose(loss[few], alone, rtol=1e-5, atol=1e-5)
    assert torch.isfinite(loss).all()
    for gradient in pull(torch.where(valid, loss, 0.0), student):
        assert torch.isfinite(gradient).all()
        assert not gradient[~valid].any()


@pytest.mark.parametrize("name", MEMBERS)
def test_a_batch_without_a_valid_row_is_finite(name):
    told, student = lesson(random_logits(2)), output(random_logits(1))
    told.batch.valid[:] = False
    assert finite(name, student, told)


@pytest.mark.parametrize("name", MEMBERS)
def test_no_gradient_reaches_the_teacher(name):
    told, method = lesson(random_logits(2)), make(name)
    method(output(random_logits(1)), told).sum().backward()
    assert not told.log_probs.requires_grad
    assert not any(f.requires_grad for f in told.features.values())


@pytest.mark.parametrize("name", flagged("divergence"))
def test_a_divergence_and_its_gradient_vanish_where_student_and_teacher_agree(name):
    student = output(random_logits(1), seed=6)
    loss = make(name)(student, lesson(student.logits.detach(), seed=6))
    assert loss.abs().max() < 1e-5
    assert max(g.abs().max() for g in pull(loss, student)) < 2e-6


@pytest.mark.parametrize("name", MEMBERS)
def test_what_the_codec_kept_gives_nearly_the_same_loss(name):
    teacher, student = random_logits(2).log_softmax(-1), random_logits(1)
    made = dense.Codec(L, C, Kept("dense"))
    kept = made.decode(made.encode(teacher)[0])
    live = make(name)(output(student), lesson(teacher))
    assert torch.allclose(make(name)(output(student), lesson(teacher, kept=kept)), live, rtol=2e-3)
