"""What the methods made for CTC must hold beyond the contract: marginal, guided, occupancy, sequence."""

import itertools
import types
from typing import Any

import numpy as np
import pytest
import torch

from distill.lesson import Hypotheses, Lesson
from distill.methods import Shapes, Sides
from distill.methods.sequence import fitting, weights
from shards import lookup
from shards.errors import BadSettings
from train.beam import prefix_beam
from train.ctc import ctc_loss
from train.models import Output
from train.occupancy import occupancy

N, L, C = 5, 12, 9
NAMES = ["guided", "marginal", "occupancy", "sequence"]
DIVERGENCES = ["marginal", "occupancy"]  # zero where student and teacher agree


def make(name: str, frames: int = L, **settings):
    module = lookup.find("distill.methods", name)
    return module.Method(module.Settings(**settings), Sides(None, Shapes(frames, C), Shapes(L, C)))


def random_logits(seed: int = 0, scale: float = 3.0, steps: int = L) -> torch.Tensor:
    return scale * torch.randn(N, steps, C, generator=torch.Generator().manual_seed(seed))


def hypotheses(readings: list[list[list[int]]], log_probs: torch.Tensor | None = None) -> Hypotheses:
    """From lists: samples, hypotheses, symbols."""
    count, longest = max(map(len, readings)), max(len(r) for rs in readings for r in rs)
    symbols = torch.zeros(len(readings), count, longest, dtype=torch.int64)
    lengths = torch.full((len(readings), count), -1)
    for n, rs in enumerate(readings):
        for b, reading in enumerate(rs):
            symbols[n, b, : len(reading)], lengths[n, b] = torch.tensor(reading), len(reading)
    scores = -torch.arange(count).float().expand(len(readings), count) if log_probs is None else log_probs
    return Hypotheses(symbols, lengths, scores.masked_fill(lengths < 0, -torch.inf))


def lesson(
    logits: torch.Tensor, nbest: Hypotheses | None = None, gamma: torch.Tensor | None = None
) -> Lesson:
    """What a teacher with these logits answers; its hypotheses are those of the beam."""
    log_probs = logits.detach().log_softmax(-1)
    if nbest is None:
        found = prefix_beam(log_probs, n=4)
        nbest = Hypotheses(*map(torch.from_numpy, (found.symbols, found.lengths, found.log_probs)))
    labels = types.SimpleNamespace(symbols=torch.arange(1, N + 1), lengths=torch.ones(N, dtype=torch.int64))
    batch: Any = types.SimpleNamespace(targets=labels)
    return Lesson(batch, log_probs, nbest=nbest, occupancy=log_probs.exp() if gamma is None else gamma)


def spikes(places: dict[int, int], height: float = 9.0) -> torch.Tensor:
    """Logits of N equal samples: blank everywhere but for a class at each of some steps."""
    logits = torch.zeros(N, L, C)
    logits[:, [t for t in range(L) if t not in places], 0] = height
    for step, symbol in places.items():
        logits[:, step, symbol] = height
    return logits


def loss_and_pull(name: str, student: torch.Tensor, told: Lesson, **settings):
    """The loss [N] and its gradient by the student's logits."""
    student = student.detach().clone().requires_grad_()
    loss = make(name, student.shape[1], **settings)(Output(student), told)
    (pull,) = torch.autograd.grad(loss.sum(), student)
    return loss.detach(), pull


@pytest.mark.parametrize("name", DIVERGENCES)
def test_a_divergence_and_its_gradient_vanish_where_student_and_teacher_agree(name):
    loss, pull = loss_and_pull(name, random_logits(1), lesson(random_logits(1)))
    assert loss.abs().max() < 1e-5
    assert pull.abs().max() < 1e-6
    other, _ = loss_and_pull(name, random_logits(1), lesson(random_logits(2)))
    assert (other > 1e-3).all()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_losses_are_finite_where_nothing_is_told_and_for_huge_logits(name, scale):
    nothing = hypotheses([[[1] * L], [], [], [], []])
    blank = spikes({}, scale)
    for student in (random_logits(1, scale), random_logits(1, scale).bfloat16()):
        loss, pull = loss_and_pull(name, student, lesson(blank, nothing, torch.zeros(N, L, C)))
        assert loss.dtype == torch.float32
        assert torch.isfinite(loss).all()
        assert torch.isfinite(pull).all()
        if name != "marginal":  # whose teacher always has some least trace of letters
            assert not loss.any()
            assert not pull.any()


@pytest.mark.parametrize("name", ["marginal", "sequence"])
def test_the_student_may_have_other_steps_than_the_teacher(name):
    loss, pull = loss_and_pull(name, random_logits(1, steps=20), lesson(random_logits(2)))
    assert (loss > 0).all()
    assert pull.abs().sum((1, 2)).min() > 0


def test_marginal_is_the_divergence_of_the_renormalised_means():
    def mean(logits):
        u = (logits.double() / 0.5).softmax(-1).mean(1)[:, 1:]
        return u / u.sum(-1, keepdim=True)

    p, q = mean(random_logits(2)), mean(random_logits(1))
    loss, _ = loss_and_pull("marginal", random_logits(1), lesson(random_logits(2)))
    assert torch.allclose(loss.double(), (p * (p / q).log()).sum(-1), atol=1e-5)


def test_marginal_does_not_see_where_steps_stand():
    student, teacher = random_logits(1), random_logits(2)
    loss, _ = loss_and_pull("marginal", student, lesson(teacher))
    shuffled = torch.randperm(L, generator=torch.Generator().manual_seed(0))
    for moved, told in ((student[:, shuffled], teacher), (student.roll(3, 1), teacher.roll(1, 1))):
        assert torch.allclose(loss_and_pull("marginal", moved, lesson(told))[0], loss, atol=1e-5)


def test_marginal_sees_letters_that_stand_as_faintly_as_peaky_outputs_leave_them():
    told = lesson(spikes({3: 1, 6: 2}, 200.0))
    near, _ = loss_and_pull("marginal", spikes({4: 1, 7: 2}, 200.0), told)
    far, pull = loss_and_pull("marginal", spikes({4: 1, 7: 5}, 200.0), told)
    assert near.abs().max() < 1e-4
    assert (far > 10).all()
    assert pull.abs().sum() > 0


def test_guided_pulls_only_where_the_teacher_has_a_letter():
    loss, pull = loss_and_pull("guided", random_logits(1), lesson(spikes({2: 1, 7: 4})))
    p = random_logits(1).softmax(-1)
    assert torch.allclose(loss, -(p[:, 2, 1] + p[:, 7, 4]), atol=1e-6)
    assert pull[:, [2, 7]].abs().sum((1, 2)).min() > 0
    assert not pull[:, [t for t in range(L) if t not in (2, 7)]].any()


def test_guided_falls_as_the_students_spike_moves_onto_the_teachers():
    told = lesson(spikes({5: 3}))
    away, home = spikes({6: 3}), spikes({5: 3})
    losses = [loss_and_pull("guided", away.lerp(home, part), told)[0][0] for part in np.linspace(0, 1, 6)]
    assert all(right < left for left, right in itertools.pairwise(losses))
    assert float(losses[-1]) == pytest.approx(-1, rel=1e-2)


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


READINGS = [[[1, 2, 2], [1, 2], []], [[3, 3, 3, 3]], [[4], [8, 1, 8, 1], [8]], [[]], [[5, 5], [5], [5, 6]]]


def plain_sequence(student: torch.Tensor, nbest: Hypotheses) -> torch.Tensor:
    """One CTC after another, weighted; every hypothesis fits."""
    out = []
    for row, scores, readings in zip(student[:, None], nbest.log_probs, READINGS, strict=True):
        parts = [ctc_loss(row, torch.tensor(r).long(), torch.tensor([len(r)])) for r in readings]
        out.append((scores[: len(readings)].softmax(0) * torch.cat(parts)).sum())
    return torch.stack(out)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_sequence_is_the_weighted_ctc_of_every_hypothesis(scale):
    nbest = hypotheses(READINGS)
    student = random_logits(1, scale).requires_grad_()
    expected = plain_sequence(student, nbest)
    (wanted,) = torch.autograd.grad(expected.sum(), student)
    loss, pull = loss_and_pull("sequence", student, lesson(random_logits(2), nbest))
    assert torch.allclose(loss, expected, rtol=1e-4, atol=1e-4)
    assert torch.allclose(pull, wanted, atol=1e-4)


def test_sequence_with_the_label_alone_is_ctc():
    labels = [[1, 2], [3, 3], [4], [], [5, 6, 5]]
    flat = torch.tensor([c for label in labels for c in label])
    expected = ctc_loss(random_logits(1), flat, torch.tensor([len(label) for label in labels]))
    told = lesson(random_logits(2), hypotheses([[label] for label in labels], torch.full((N, 1), -7.0)))
    assert torch.allclose(loss_and_pull("sequence", random_logits(1), told)[0], expected, rtol=1e-5)


def test_sequence_does_not_see_the_order_or_padding_of_hypotheses():
    nbest = hypotheses(READINGS)
    loss, _ = loss_and_pull("sequence", random_logits(1), lesson(random_logits(2), nbest))
    order = torch.tensor([2, 0, 1])
    turned = Hypotheses(nbest.symbols[:, order], nbest.lengths[:, order], nbest.log_probs[:, order])
    padded = Hypotheses(
        torch.nn.functional.pad(nbest.symbols, (0, 3, 0, 2)),
        torch.nn.functional.pad(nbest.lengths, (0, 2), value=-1),
        torch.nn.functional.pad(nbest.log_probs, (0, 2), value=0.0),
    )
    for same in (turned, padded):
        told = lesson(random_logits(2), same)
        assert torch.allclose(loss_and_pull("sequence", random_logits(1), told)[0], loss, atol=1e-5)


def test_sequence_drops_and_counts_hypotheses_that_do_not_fit():
    nbest, method = hypotheses(READINGS), make("sequence", frames=4)
    short = random_logits(1, steps=4)
    loss = method(Output(short), lesson(random_logits(2), nbest))
    assert int(method.dropped) == 1  # 3333 needs seven steps
    assert float(loss[1]) == 0.0
    assert (loss[[0, 2, 3, 4]] > 0).all()
    without = hypotheses([readings if n != 1 else [] for n, readings in enumerate(READINGS)])
    assert torch.equal(method(Output(short), lesson(random_logits(2), without)), loss)
    assert int(method.dropped) == 0


@pytest.mark.parametrize("tau", [0.5, 1.0, 1e6])
def test_weights_sum_to_one_over_what_fits_and_even_out_with_the_temperature(tau):
    nbest = hypotheses(READINGS)
    fits = fitting(nbest, torch.full((len(nbest.lengths),), 4))
    w = weights(nbest.log_probs, fits, tau)
    assert w.sum(1).tolist() == pytest.approx([1, 0, 1, 1, 1], abs=1e-6)
    assert not w[~fits].any()
    assert torch.allclose(w[0], (nbest.log_probs[0] / tau).softmax(0))
    assert tau < 1e6 or torch.allclose(w[0], torch.full((3,), 1 / 3), atol=1e-4)


@pytest.mark.parametrize("name", ["marginal", "sequence"])
def test_a_temperature_of_zero_is_refused(name):
    with pytest.raises(BadSettings, match=rf"{name}\.temperature: 0"):
        make(name, temperature=0)
