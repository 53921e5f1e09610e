"""CTC against the sum over all paths, and labels that do not fit."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from train.ctc import ctc_loss, needed_frames


def collapse(path):
    return tuple(c for c, _ in itertools.groupby(path) if c != 0)


def likelihood(log_probs, label):
    """-log of the sum over every path that spells the label; inf if none does. log_probs [L,C] float64."""
    frames, classes = log_probs.shape
    paths = [p for p in itertools.product(range(classes), repeat=frames) if collapse(p) == tuple(label)]
    total = sum(np.exp(sum(log_probs[t, c] for t, c in enumerate(path))) for path in paths)
    return -np.log(total) if paths else np.inf


def ragged(labels):
    flat = [c for label in labels for c in label]
    return torch.tensor(flat, dtype=torch.int64), torch.tensor([len(x) for x in labels], dtype=torch.int64)


LABELS = st.lists(st.lists(st.integers(1, 2), max_size=5), min_size=1, max_size=3)


@settings(max_examples=40, deadline=None)
@given(labels=LABELS, frames=st.integers(1, 4), seed=st.integers(0, 99))
def test_the_loss_is_the_sum_over_all_paths(labels, frames, seed):
    logits = torch.randn(len(labels), frames, 3, generator=torch.Generator().manual_seed(seed))
    losses = ctc_loss(logits, *ragged(labels))
    for loss, row, label in zip(losses, logits.double().log_softmax(-1).numpy(), labels, strict=True):
        expected = likelihood(row, label)
        assert float(loss) == pytest.approx(expected if np.isfinite(expected) else 0.0, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(labels=LABELS, frames=st.integers(1, 6))
def test_a_label_fits_exactly_when_some_path_spells_it(labels, frames):
    paths = {collapse(path) for path in itertools.product(range(3), repeat=frames)}
    fits = needed_frames(*ragged(labels)) <= frames
    assert fits.tolist() == [tuple(label) in paths for label in labels]


@pytest.mark.parametrize(
    ("labels", "needed"),
    [
        ([[]], [0]),
        ([[1]], [1]),
        ([[1, 1]], [3]),
        ([[1, 2, 2, 2], [2, 1], [], [1, 1]], [6, 2, 0, 3]),
        ([[], []], [0, 0]),
    ],
)
def test_needed_frames_counts_symbols_and_equal_neighbours(labels, needed):
    symbols, lengths = ragged(labels)
    assert needed_frames(symbols, lengths).tolist() == needed
    assert needed_frames(symbols.numpy(), lengths.numpy()).tolist() == needed


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_labels_that_do_not_fit_have_neither_loss_nor_gradient(dtype):
    logits = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(1)).to(dtype).requires_grad_()
    losses = ctc_loss(logits, *ragged([[1, 1, 1], [1, 2], []]))  # the first needs 5 of 4 frames
    losses.sum().backward()
    assert losses.dtype == torch.float32
    assert logits.grad.isfinite().all()
    assert losses[0] == 0
    assert not logits.grad[0].any()
    assert (losses[1:] > 0).all()
    assert logits.grad[1:].abs().sum((1, 2)).gt(0).all()


def test_the_loss_is_taken_in_fp32_under_autocast():
    logits = torch.randn(2, 6, 4)
    plain = ctc_loss(logits, *ragged([[1, 2], [3]]))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ctc_loss(logits, *ragged([[1, 2], [3]])), plain)


def test_a_sample_does_not_feel_its_neighbours():
    logits = torch.randn(4, 8, 5)
    labels = [[1, 2], [], [3, 3, 4], [4]]
    together = ctc_loss(logits, *ragged(labels))
    alone = [ctc_loss(logits[i : i + 1], *ragged(labels[i : i + 1])) for i in range(4)]
    assert torch.allclose(together, torch.cat(alone), atol=1e-6)
