"""What the methods made for CTC must hold beyond the contract: marginal, guided, occupancy, sequence."""

import itertools

import numpy as np
import pytest
import torch

from distill.lesson import Hypotheses
from distill.methods.sequence import fitting, weights
from shards.errors import BadSettings
from tests.distill.ctc_lessons import (
    C,
    L,
    N,
    hypotheses,
    lesson,
    loss_and_pull,
    make,
    random_logits,
    spikes,
)
from train.ctc import ctc_loss
from train.models import Output

NAMES = ["guided", "marginal", "occupancy", "sequence"]
DIVERGENCES = ["marginal", "occupancy"]  # zero where student and teacher agree


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
