import types
from typing import Any

import pytest
import torch
from torch import nn

from distill.lesson import Lesson
from distill.methods import Shapes, guided, hard, logits
from distill.objective import STILL, Objective
from distill.teachers import NoTeacher
from shards.errors import BadSettings, GateFailed
from shards.image import ImageSpec
from shards.sample import Record, Word
from train.models import Output
from train.steps import PULL, TaskStep
from train.tasks import boxes, recognise

TASK = recognise.Task(recognise.Settings("36"), ImageSpec())
SHAPES = Shapes(24, 37)


class Flat(nn.Module):
    """Answers its parameter to every image."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = nn.Parameter(torch.randn(4, 24, 37, generator=torch.Generator().manual_seed(0)))

    def forward(self, images, widths):
        return Output(self.answers)


def batch() -> Any:
    records = [Record((Word(text),), (10, 10), "") for text in ("cat", "dog", "bird", "")]
    valid = torch.tensor([True, True, True, False])
    images, targets = torch.zeros(4, 1, 32, 100), TASK.encode(records)
    return types.SimpleNamespace(
        images=images, widths=torch.full((4,), 100), targets=targets, valid=valid, denominator=3.0
    )


def lesson(**more) -> Lesson:
    answers = torch.randn(4, 24, 37, generator=torch.Generator().manual_seed(1)).log_softmax(-1)
    return Lesson(batch(), answers, **more)


def objective(model=None, **methods) -> Objective:
    return Objective(model or Flat(), TASK, methods, SHAPES, SHAPES)


def test_the_total_is_the_weighted_sum_and_every_raw_term_is_named():
    out = objective(logits=logits.Settings(weight=0.6), hard=hard.Settings(weight=0.3))(lesson())
    assert set(out) == {"loss", "task", "logits", "hard", "blank_rate", "infeasible"}
    expected = 0.1 * out["task"] + 0.6 * out["logits"] + 0.3 * out["hard"]
    assert out["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_without_methods_it_is_the_teachers_step():
    model = Flat()
    control = objective(model)(NoTeacher()(batch()))
    plain = TaskStep(model, TASK)(batch())
    assert {k: v.item() for k, v in control.items()} == {k: v.item() for k, v in plain.items()}


def test_rows_that_are_not_valid_count_and_pull_nothing():
    made = objective(logits=logits.Settings(), hard=hard.Settings())
    made(lesson())["loss"].backward()
    gradient = made.model.answers.grad
    assert gradient[:3].abs().sum(dim=(1, 2)).min() > 0
    assert not gradient[3].any()


def test_answers_that_are_not_trusted_teach_nothing_while_their_labels_do():
    trust = torch.tensor([True, False, True, True])
    made = objective(logits=logits.Settings(weight=1.0))
    made(lesson(trust=trust))["loss"].backward()
    assert not made.model.answers.grad[1].any()
    made = objective(logits=logits.Settings(weight=0.5))
    made(lesson(trust=trust))["loss"].backward()
    assert made.model.answers.grad[1].any()


@pytest.mark.parametrize("weights", [(0.7, 0.4), (-0.1, 0.4)])
def test_weights_are_shares(weights):
    with pytest.raises(
        BadSettings, match=rf"method.logits.weight={weights[0]}, method.hard.weight={weights[1]}"
    ):
        objective(logits=logits.Settings(weight=weights[0]), hard=hard.Settings(weight=weights[1]))


def test_shares_must_fit_at_every_point_of_a_schedule():
    with pytest.raises(BadSettings, match=r"method.logits.weight=1.2 \(at 0.5 of the run\)"):
        objective(logits=logits.Settings(weight=0.6, schedule=["0:1", ".5:2", "1:1"]))


@pytest.mark.parametrize("schedule", [["0:.1", ".5:.1", ".5:2"], [".5:1", "0:1"], ["0:nan"], ["0"], ["2:1"]])
def test_a_schedule_that_is_none_is_refused(schedule):
    with pytest.raises(BadSettings, match=r"schedule=.*(progress rises|progress:factor)"):
        logits.Settings(weight=0.6, schedule=schedule)


def test_how_many_answers_are_trusted_is_told():
    out = objective(logits=logits.Settings())(lesson(trust=torch.tensor([True, False, True, True])))
    assert out["trusted"].item() == pytest.approx(2 / 3)


def test_shares_that_add_up_to_one_leave_nothing_for_the_label():
    made = objective(logits=logits.Settings(weight=0.7), hard=hard.Settings(weight=0.3))
    assert made.shares()["task"] == pytest.approx(0, abs=1e-9)
    assert made.needs == {"frames", "answers"}


def test_a_schedule_moves_the_share_with_the_progress_of_the_run():
    made = objective(logits=logits.Settings(weight=0.8, schedule=["0:0", ".5:1"]))
    seen = []
    for made.progress in (0.0, 0.25, 0.5, 1.0):
        out = made(lesson())
        share = made.shares()["logits"]
        seen.append(share)
        expected = (1 - share) * out["task"] + share * out["logits"]
        assert out["loss"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert seen == pytest.approx([0.0, 0.4, 0.8, 0.8])
    assert "0.8 (scheduled) logits" in made.formula


def test_watched_steps_tell_what_each_term_pulls_and_how_close_the_answers_are():
    made = objective(logits=logits.Settings(weight=0.6, temperature=1.0), hard=hard.Settings(weight=0.3))
    made.watched = True
    out = made(lesson())
    pulls = {name: value.item() for name, value in out.items() if name.startswith(PULL)}
    assert set(pulls) == {"grad/task", "grad/logits", "grad/hard"}
    alone = objective(logits=logits.Settings(weight=1.0, temperature=1.0))
    alone(lesson())["loss"].backward()
    expected = (0.6 * alone.model.answers.grad).square().sum().item()
    assert pulls["grad/logits"] == pytest.approx(expected, rel=1e-4)
    assert 0 <= out["fidelity/agreement"].item() <= 1
    assert out["fidelity/kl"].item() == pytest.approx(out["logits"].item(), rel=1e-4)
    made(lesson())["loss"].backward()
    assert made.model.answers.grad is not None


def test_a_term_with_weight_but_no_gradient_stops_the_run():
    blank = torch.full((4, 24, 37), -20.0)
    blank[..., 0] = 0.0
    made = objective(guided=guided.Settings(weight=0.5))
    made.watched = True
    silent = Lesson(batch(), blank.log_softmax(-1))
    terms = {name: value.item() for name, value in made(silent).items()}
    for _ in range(STILL - 1):
        made.told(terms)
    with pytest.raises(GateFailed, match=r"guided has weight 0.5 but no gradient in 5 watched steps"):
        made.told(terms)


def test_a_term_that_pulls_again_is_forgiven_and_one_without_share_is_not_looked_at():
    made = objective(guided=guided.Settings(weight=0.5, schedule=["0:1", ".5:1", "1:0"]))
    for _ in range(3):
        for _ in range(STILL - 1):
            made.told({PULL + "guided": 0.0})
        made.told({PULL + "guided": 0.1})
    made.progress = 1.0
    for _ in range(2 * STILL):
        made.told({PULL + "guided": 0.0})


@pytest.mark.parametrize(("method", "asked"), [(logits, "frames"), (hard, "answers"), (guided, "frames")])
def test_methods_that_compare_readings_are_refused_by_a_task_that_reads_none(method, asked):
    shapes, name = Shapes(126, 5), method.__name__.rpartition(".")[2]
    task = boxes.Task(boxes.Settings(), ImageSpec(height=64, width=96))
    with pytest.raises(BadSettings, match=rf"method={name}: asks for {asked}, and this task finds words"):
        Objective(Flat(), task, {name: method.Settings()}, shapes, shapes)


def test_the_student_keeps_the_parameters_of_a_plain_model():
    made = objective(logits=logits.Settings())
    assert [name for name, _ in made.named_parameters()] == ["model.answers"]
