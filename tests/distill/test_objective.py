import types

import pytest
import torch
from torch import nn

from distill.methods import hard, logits
from distill.objective import Objective
from distill.teachers import Lesson, NoTeacher
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.sample import Record, Word
from train.models import Output
from train.steps import TaskStep
from train.tasks import recognise

TASK = recognise.Task(recognise.Settings("36"), ImageSpec())


class Flat(nn.Module):
    """Answers its parameter to every image."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = nn.Parameter(torch.randn(4, 24, 37, generator=torch.Generator().manual_seed(0)))

    def forward(self, images):
        return Output(self.answers)


def batch():
    records = [Record((Word(text),), (10, 10), "") for text in ("cat", "dog", "bird", "")]
    valid = torch.tensor([True, True, True, False])
    images, targets = torch.zeros(4, 1, 32, 100), TASK.encode(records)
    return types.SimpleNamespace(images=images, targets=targets, valid=valid, denominator=3.0)


def lesson():
    answers = torch.randn(4, 24, 37, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    return Lesson(batch(), answers)


def test_the_total_is_the_weighted_sum_and_every_raw_term_is_named():
    methods = {"logits": logits.Settings(weight=0.6), "hard": hard.Settings(weight=0.3)}
    out = Objective(Flat(), TASK, methods)(lesson())
    assert set(out) == {"loss", "task", "logits", "hard", "blank_rate", "infeasible"}
    expected = 0.1 * out["task"] + 0.6 * out["logits"] + 0.3 * out["hard"]
    assert out["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_without_methods_it_is_the_teachers_step():
    model = Flat()
    control = Objective(model, TASK, {})(NoTeacher()(batch()))
    plain = TaskStep(model, TASK)(batch())
    assert {k: v.item() for k, v in control.items()} == {k: v.item() for k, v in plain.items()}


def test_rows_that_are_not_valid_count_and_pull_nothing():
    objective = Objective(Flat(), TASK, {"logits": logits.Settings(), "hard": hard.Settings()})
    objective(lesson())["loss"].backward()
    gradient = objective.model.answers.grad
    assert gradient[:3].abs().sum(dim=(1, 2)).min() > 0
    assert not gradient[3].any()


@pytest.mark.parametrize("weights", [(0.7, 0.4), (-0.1, 0.4)])
def test_weights_are_shares(weights):
    methods = {"logits": logits.Settings(weight=weights[0]), "hard": hard.Settings(weight=weights[1])}
    with pytest.raises(
        BadSettings, match=rf"method.logits.weight={weights[0]}, method.hard.weight={weights[1]}"
    ):
        Objective(Flat(), TASK, methods)


def test_shares_that_add_up_to_one_leave_nothing_for_the_label():
    methods = {"logits": logits.Settings(weight=0.7), "hard": hard.Settings(weight=0.3)}
    objective = Objective(Flat(), TASK, methods)
    assert objective.task_weight == pytest.approx(0, abs=1e-9)
    assert objective.needs == {"frames", "strings"}


def test_the_student_keeps_the_parameters_of_a_plain_model():
    objective = Objective(Flat(), TASK, {"logits": logits.Settings()})
    assert [name for name, _ in objective.named_parameters()] == ["model.answers"]
