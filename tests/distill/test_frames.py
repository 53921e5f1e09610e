"""Rows, divergences and masks of distill.frames."""

from itertools import pairwise

import pytest
import torch

from distill import frames
from shards.errors import BadSettings

L, C = 12, 7


def random_rows(seed: int, tau: float = 1.0, scale: float = 3.0) -> torch.Tensor:
    logits = scale * torch.randn(4, L, C, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return (logits / tau).log_softmax(-1)


def spiked(*steps: int) -> torch.Tensor:
    """A sure teacher that sees blanks but for spikes at these steps."""
    logits = torch.full((1, L, C), -9.0)
    logits[..., 0] = 9.0
    for step in steps:
        logits[0, step, 0], logits[0, step, 3] = -9.0, 9.0
    return logits.log_softmax(-1)


@pytest.mark.parametrize("tau", [1.0, 4.0])
@pytest.mark.parametrize("target", ["blank", "best"])
def test_a_divergence_is_that_of_the_target_and_that_of_the_others_by_the_doubt(tau, target):
    teacher, student = random_rows(1, tau), random_rows(2, tau)
    y = frames.blanks(teacher) if target == "blank" else teacher.argmax(-1)
    (binary, others), (my_binary, my_others) = frames.split(teacher, y), frames.split(student, y)
    whole = frames.kl(binary, my_binary) + binary[..., 1].exp() * frames.kl(others, my_others)
    assert torch.allclose(whole, frames.kl(teacher, student))


def test_the_parts_of_a_split_sum_to_one_and_keep_the_other_classes_in_order():
    log_probs = random_rows(1)
    y = log_probs.argmax(-1)
    binary, others = frames.split(log_probs, y)
    assert torch.allclose(binary.exp().sum(-1), torch.ones(4, L).double())
    assert torch.allclose(others.exp().sum(-1), torch.ones(4, L).double())
    row = [float(v) for c, v in enumerate(log_probs[0, 0].exp()) if c != y[0, 0]]
    expected = torch.tensor(row) / sum(row)
    assert torch.allclose(others[0, 0].exp().float(), expected)


def test_the_others_do_not_depend_on_the_target_and_the_doubt_of_a_sure_row_is_not_minus_infinity():
    logits = torch.randn(4, L, C, generator=torch.Generator().manual_seed(0))
    y = logits.argmax(-1)
    raised = logits.scatter_add(-1, y[..., None], torch.full((4, L, 1), 60.0))
    binary, others = frames.split(frames.rows(raised), y)
    assert torch.allclose(others, frames.split(frames.rows(logits), y)[1], atol=1e-4)
    assert torch.isfinite(binary).all()
    assert binary[..., 1].max() < -50


def test_masks_count_what_they_say():
    sharp = spiked(4, 9)
    assert frames.mask("all", sharp).tolist() == [[1.0] * L]
    assert frames.mask("non-blank", sharp).nonzero()[:, 1].tolist() == [4, 9]
    assert frames.mask("symmetric", sharp, 1).nonzero()[:, 1].tolist() == [3, 4, 5, 8, 9, 10]
    assert frames.mask("symmetric", sharp, 3).nonzero()[:, 1].tolist() == list(range(1, 12))
    soft = frames.mask("soft", sharp)[0]
    assert soft[4] == pytest.approx(1.0)
    assert soft[0] == pytest.approx(frames.FAINT)


def test_symmetric_masks_are_nested_and_start_at_the_spikes():
    log_probs = random_rows(3).float()
    masks = [frames.mask("symmetric", log_probs, reach) for reach in range(L + 1)]
    assert torch.equal(masks[0], frames.mask("non-blank", log_probs, 2))
    assert all((wider >= narrower).all() for narrower, wider in pairwise(masks))
    assert masks[-1].all()


@pytest.mark.parametrize("kind", ["non-blank", "symmetric"])
def test_a_teacher_that_sees_nothing_but_blanks_selects_nothing_and_the_mean_is_0(kind):
    weights = frames.mask(kind, spiked(), 2)
    assert not weights.any()
    assert frames.masked_mean(torch.full((1, L), 7.0), weights).tolist() == [0.0]


def test_a_masked_mean_weighs():
    values, weights = torch.tensor([[1.0, 2.0, 9.0]]), torch.tensor([[1.0, 0.5, 0.0]])
    assert float(frames.masked_mean(values, weights)) == pytest.approx(2 / 1.5)


def test_a_mask_that_does_not_exist_is_refused_with_those_that_do():
    with pytest.raises(BadSettings, match=r"method.x.mask: no 'nonblank'; did you mean 'non-blank'"):
        frames.check_mask("x", "nonblank", 2)
    with pytest.raises(BadSettings, match=r"method.x.reach: -1, must be at least 0"):
        frames.check_mask("x", "symmetric", -1)
