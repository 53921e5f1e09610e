"""Hard targets: what `hard` promises beside the contract."""

import types
from typing import Any

import pytest
import torch

from distill.lesson import Hypotheses, Lesson
from distill.methods import Shapes, Sides
from distill.methods.hard import Method, Settings
from shards.lookup import find
from train.ctc import ctc_loss
from train.models import Output

N, L, C = 6, 24, 37
SIDES = Sides(None, Shapes(L, C), Shapes(L, C))


def random_logits(seed: int, steps: int = L) -> torch.Tensor:
    return 4 * torch.randn(N, steps, C, generator=torch.Generator().manual_seed(seed))


def loss(student: torch.Tensor, teacher: torch.Tensor, **settings) -> torch.Tensor:
    batch: Any = types.SimpleNamespace()
    return Method(Settings(**settings), SIDES)(Output(student), Lesson(batch, teacher.log_softmax(-1)))


def test_hard_is_ctc_against_the_string_that_the_teacher_reads():
    teacher = torch.full((2, L, C), -9.0)
    teacher[:, :, 0] = 9.0
    for step, symbol in ((3, 11), (5, 12), (6, 12), (9, 12)):
        teacher[0, step, 0], teacher[0, step, symbol] = -9.0, 9.0
    student = random_logits(1)[:2]
    found = loss(student, teacher)
    assert float(found[0]) == pytest.approx(
        float(ctc_loss(student[:1], torch.tensor([11, 12, 12]), torch.tensor([3]))), rel=1e-5
    )
    # an empty reading: the path of blanks
    assert float(found[1]) == pytest.approx(-float(student[1].log_softmax(-1)[:, 0].sum()), rel=1e-5)


def test_hard_works_with_other_numbers_of_steps_and_costs_nothing_where_a_reading_does_not_fit():
    teacher = torch.full((N, L, C), -9.0)
    for step in range(L):
        teacher[:, step, 1 + step % 5] = 9.0
    student = random_logits(1, steps=10).requires_grad_()
    found = loss(student, teacher)
    assert found.tolist() == [0.0] * N
    found.sum().backward()
    assert not student.grad.any()
    assert loss(random_logits(1, steps=40), teacher).min() > 0


def test_hard_leaves_out_unsure_readings():
    assert loss(random_logits(1), torch.zeros(N, L, C), confidence=0.9).tolist() == [0.0] * N


@pytest.mark.parametrize("name", ["hard", "sequence"])
def test_a_reading_counts_where_a_samples_own_steps_spell_it(name):
    """One sample has 6 of the 24 steps, the other 2: beyond them it is blank for certain."""
    symbols, own = torch.tensor([[[11, 12, 12]]] * 2), [6, 2]
    teacher, student = torch.full((2, L, C), -9.0), random_logits(1)[:2]
    for step, symbol in enumerate((11, 12, 0, 12)):
        teacher[:, step, symbol] = 9.0
    teacher[:, 4:, 0] = 9.0
    for sample, steps in enumerate(own):
        student[sample, steps:], student[sample, steps:, 0] = -1e4, 0.0
    told = Lesson(
        types.SimpleNamespace(), teacher.log_softmax(-1),
        nbest=Hypotheses(symbols, torch.full((2, 1), 3), torch.zeros(2, 1)),
    )  # fmt: skip
    module = find("distill.methods", name)
    output = Output(student, steps=torch.tensor(own))
    found = module.Method(module.Settings(), SIDES)(output, told)
    wanted = ctc_loss(student[:1, :6], symbols[0, 0], torch.tensor([3]))
    assert found.tolist() == pytest.approx([float(wanted), 0.0], rel=1e-5)
