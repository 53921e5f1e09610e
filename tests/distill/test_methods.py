"""The contract of distill.methods, over the folder: a new method is tested the moment it exists."""

import types
from typing import Any

import pytest
import torch

from distill.codec import codec
from distill.lesson import Hypotheses, Lesson
from distill.methods import NEEDS, Shapes, Sides
from distill.methods.hard import Method as Hard
from distill.methods.hard import Settings as HardSettings
from distill.methods.logits import Method as Logits
from distill.methods.logits import Settings as LogitsSettings
from shards import lookup
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.sample import Record, Word
from train.ctc import ctc_loss
from train.models import Output
from train.tasks import recognise

N, L, C = 6, 24, 37
MEMBERS = lookup.members("distill.methods")
DIVERGENCES = ["logits"]  # zero where student and teacher agree
TASK = recognise.Task(recognise.Settings("36"), ImageSpec())
SHAPES = Shapes(L, C, {"sequence": (L, 8), "rnn1": (L, 12)})
SIDES = Sides(TASK, SHAPES, SHAPES)


def make(name: str, **settings):
    module = lookup.find("distill.methods", name)
    return module.Method(module.Settings(**settings), SIDES)


def random_logits(seed: int = 0, scale: float = 4.0, steps: int = L) -> torch.Tensor:
    return scale * torch.randn(N, steps, C, generator=torch.Generator().manual_seed(seed))


def features(seed: int, count: int = N) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(count, *shape, generator=generator) for name, shape in SHAPES.features.items()}


def output(logits: torch.Tensor, seed: int = 5) -> Output:
    """What a student answers; its features are leaves that gradients can be asked of."""
    return Output(logits, features={n: f.requires_grad_() for n, f in features(seed, len(logits)).items()})


def labels(count: int = N) -> recognise.Targets:
    return TASK.encode([Record((Word(f"ab{i}a"),), (100, 32), "") for i in range(count)])


def lesson(logits: torch.Tensor, kept: torch.Tensor | None = None) -> Lesson:
    """All that a teacher can answer, for methods to take what they need."""
    count, log_probs = len(logits), logits.log_softmax(-1)
    readings = torch.tensor([[[11, 12, 13], [11, 12, 0], [14, 0, 0]]]).expand(count, 3, 3)
    lengths = torch.tensor([[3, 2, 1]]).expand(count, 3)
    nbest = Hypotheses(readings, lengths, torch.tensor([[-0.1, -2.5, -5.0]]).expand(count, 3))
    batch: Any = types.SimpleNamespace(targets=labels(count))
    answers = log_probs if kept is None else kept
    return Lesson(batch, answers, features(6, count), nbest, answers.exp())


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loss_is_finite_per_sample_and_differentiable(name):
    method, student = make(name), random_logits(1).requires_grad_()
    loss = method(output(student), lesson(random_logits(2)))
    assert loss.shape == (N,)
    assert loss.dtype == torch.float32
    loss.sum().backward()
    assert torch.isfinite(student.grad).all()
    assert student.grad.abs().sum() > 0
    assert method.needs <= set(NEEDS)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loss_is_finite_for_huge_logits_and_lower_precision(name):
    for student in (random_logits(1, 1e4), random_logits(1).bfloat16()):
        student.requires_grad_()
        loss = make(name)(output(student), lesson(random_logits(2, 1e4)))
        assert torch.isfinite(loss).all()
        loss.sum().backward()
        assert torch.isfinite(student.grad).all()


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loss_does_not_depend_on_the_order_or_size_of_the_batch(name):
    student, teacher, method = random_logits(1), random_logits(2), make(name)
    order = torch.tensor([3, 1, 5, 0, 2, 4])
    whole = method(output(student), lesson(teacher))
    assert torch.allclose(method(output(student[order]), lesson(teacher[order])), whole[order], atol=1e-5)
    assert torch.allclose(method(output(student[:1]), lesson(teacher[:1])), whole[:1], atol=1e-5)


@pytest.mark.parametrize("name", MEMBERS)
def test_no_gradient_reaches_the_teacher(name):
    teacher = random_logits(2)
    student = random_logits(1).requires_grad_()
    told = lesson(teacher)
    make(name)(output(student), told).sum().backward()
    assert not told.log_probs.requires_grad


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_divergence_and_its_gradient_vanish_where_student_and_teacher_agree(name):
    student = random_logits(1).requires_grad_()
    loss = make(name)(output(student), lesson(student.detach()))
    assert loss.abs().max() < 1e-5
    loss.sum().backward()
    assert student.grad.abs().max() < 1e-6


@pytest.mark.parametrize("name", MEMBERS)
def test_what_the_codec_kept_gives_nearly_the_same_loss(name):
    teacher, student = random_logits(2).log_softmax(-1), random_logits(1)
    made = codec("dense", L, C, 0)
    kept = made.decode(made.encode(teacher))
    live = make(name)(output(student), lesson(teacher))
    assert torch.allclose(make(name)(output(student), lesson(teacher, kept)), live, rtol=2e-3)


def test_k1_gradient_at_temperature_one_is_the_difference_of_probabilities():
    student, teacher = random_logits(1).requires_grad_(), random_logits(2)
    Logits(LogitsSettings(temperature=1.0), SIDES)(output(student), lesson(teacher)).mean().backward()
    expected = (student.detach().softmax(-1) - teacher.softmax(-1)) / (N * L)
    assert torch.allclose(student.grad, expected, atol=1e-7)


def test_k1_gradient_size_is_nearly_constant_for_large_temperatures():
    sizes = []
    for tau in (50.0, 100.0, 200.0):
        student = random_logits(1, 1.0).requires_grad_()
        Logits(LogitsSettings(temperature=tau), SIDES)(
            output(student), lesson(random_logits(2, 1.0))
        ).sum().backward()
        sizes.append(float(student.grad.norm()))
    assert max(sizes) / min(sizes) < 1.05


def test_k1_is_tau_squared_times_the_divergence():
    student, teacher = random_logits(1), random_logits(2)
    p, q = (teacher / 3).double().softmax(-1), (student / 3).double().softmax(-1)
    expected = 9 * (p * (p / q).log()).sum(-1).mean(-1)
    found = Logits(LogitsSettings(temperature=3.0), SIDES)(output(student), lesson(teacher))
    assert torch.allclose(found.double(), expected, rtol=1e-4)


def test_k1_refuses_a_temperature_of_zero():
    with pytest.raises(BadSettings, match=r"temperature: 0"):
        LogitsSettings(temperature=0)


def test_hard_is_ctc_against_the_string_that_the_teacher_reads():
    teacher = torch.full((2, L, C), -9.0)
    teacher[:, :, 0] = 9.0
    for step, symbol in ((3, 11), (5, 12), (6, 12), (9, 12)):
        teacher[0, step, 0], teacher[0, step, symbol] = -9.0, 9.0
    student = random_logits(1)[:2]
    loss = Hard(HardSettings(), SIDES)(output(student), lesson(teacher))
    assert float(loss[0]) == pytest.approx(
        float(ctc_loss(student[:1], torch.tensor([11, 12, 12]), torch.tensor([3]))), rel=1e-5
    )
    # an empty reading: the path of blanks
    assert float(loss[1]) == pytest.approx(-float(student[1].log_softmax(-1)[:, 0].sum()), rel=1e-5)


def test_hard_works_with_other_numbers_of_steps_and_costs_nothing_where_a_reading_does_not_fit():
    teacher = torch.full((N, L, C), -9.0)
    for step in range(L):
        teacher[:, step, 1 + step % 5] = 9.0
    student = random_logits(1, steps=10).requires_grad_()
    loss = Hard(HardSettings(), SIDES)(output(student), lesson(teacher))
    assert loss.tolist() == [0.0] * N
    loss.sum().backward()
    assert not student.grad.any()
    assert Hard(HardSettings(), SIDES)(Output(random_logits(1, steps=40)), lesson(teacher)).min() > 0


def test_hard_leaves_out_unsure_readings():
    student, flat = random_logits(1), torch.zeros(N, L, C)
    assert Hard(HardSettings(confidence=0.9), SIDES)(output(student), lesson(flat)).tolist() == [0.0] * N
