"""What the method `occupancy` must hold beyond the contract."""

import pytest
import torch

from shards.errors import BadSettings
from tests.distill.ctc_lessons import C, L, N, lesson, loss_and_pull, make, random_logits, spikes
from train.models import Output
from train.occupancy import occupancy


def test_occupancy_teaches_the_label_where_the_teacher_misreads():
    teacher = spikes({2: 1, 6: 4})
    teacher[:, 6, 5] = 7.0  # second best, and what the label says
    gamma, feasible = occupancy(teacher.log_softmax(-1), torch.tensor([1, 5] * N), torch.full((N,), 2))
    assert feasible.all()
    told = lesson(teacher, gamma=gamma)
    right, pull = loss_and_pull("occupancy", spikes({2: 1, 6: 5}), told)
    wrong, _ = loss_and_pull("occupancy", teacher, told)
    assert (right < wrong).all()
    expected = (spikes({2: 1, 6: 5}).softmax(-1) - gamma) / L
    assert torch.allclose(pull, expected, atol=1e-6)


def test_occupancy_leaves_out_samples_of_zero_rows():
    gamma = random_logits(2).softmax(-1)
    gamma[[1, 3]] = 0
    loss, pull = loss_and_pull("occupancy", random_logits(1), lesson(random_logits(2), gamma=gamma))
    assert (loss > 0).tolist() == [True, False, True, False, True]
    assert pull.abs().sum((1, 2)).bool().tolist() == [True, False, True, False, True]


def test_occupancy_leaves_out_samples_whose_own_steps_cannot_spell_the_label():
    """Beyond its own steps a student is blank for certain: what the teacher aligns there cannot be had."""
    own = torch.tensor([2, 3, 12])  # two steps lack the blank between the equal letters
    student, gamma = random_logits(1)[:3], torch.zeros(3, L, C)
    for sample, steps in enumerate(own.tolist()):
        student[sample, steps:], student[sample, steps:, 0] = -1e4, 0.0
    gamma[..., 0] = 1.0
    for step in (0, 2):
        gamma[:, step, 0], gamma[:, step, 4] = 0.0, 1.0
    told = lesson(random_logits(2)[:3], gamma=gamma)
    told.batch.targets.symbols, told.batch.targets.lengths = torch.tensor([4] * 6), torch.tensor([2] * 3)
    loss = make("occupancy")(Output(student, steps=own), told)
    wanted = -(gamma * student.log_softmax(-1)).sum(-1).mean(-1)
    assert loss.tolist() == pytest.approx([0.0, *wanted[1:].tolist()])
    assert wanted[0] > 100


def test_occupancy_refuses_a_student_of_other_steps():
    with pytest.raises(BadSettings, match=r"L = 20 steps, the teacher 12"):
        make("occupancy", frames=20)
