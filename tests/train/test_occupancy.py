"""Occupancies against the sum over all paths, and labels that do not align."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from train.occupancy import occupancy


def random_lines(count, steps, classes, scale=2.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(count, steps, classes, generator=generator)).log_softmax(-1)


def ragged(labels):
    flat = [c for label in labels for c in label]
    return torch.tensor(flat, dtype=torch.int64), torch.tensor([len(x) for x in labels], dtype=torch.int64)


def all_paths(log_probs, label):
    """The probability of each class at each step given the label, [T,C]; None if no path spells it."""
    rows = log_probs.double().exp().numpy()
    out = np.zeros(rows.shape)
    for path in itertools.product(range(rows.shape[1]), repeat=rows.shape[0]):
        if [c for c, _ in itertools.groupby(path) if c != 0] == list(label):
            chance = np.prod([rows[t, c] for t, c in enumerate(path)])
            for t, c in enumerate(path):
                out[t, c] += chance
    return out / out[0].sum() if out.any() else None


LABELS = st.lists(st.lists(st.integers(1, 2), max_size=4), min_size=1, max_size=3)


@settings(max_examples=60, deadline=None)
@given(labels=LABELS, steps=st.integers(1, 5), scale=st.floats(0.1, 8), seed=st.integers(0, 999))
def test_occupancies_are_the_sum_over_all_paths(labels, steps, scale, seed):
    lines = random_lines(len(labels), steps, 3, scale, seed)
    gamma, feasible = occupancy(lines, *ragged(labels))
    assert gamma.dtype == torch.float32
    for line, label, found, fits in zip(lines, labels, gamma, feasible.tolist(), strict=True):
        expected = all_paths(line, label)
        assert fits == (expected is not None)
        assert np.allclose(found, line.exp() if expected is None else expected, atol=1e-6)


@pytest.mark.parametrize("scale", [1.0, 20.0, 1e4, 1e6])
def test_rows_sum_to_one_and_classes_that_the_label_lacks_are_zero(scale):
    labels = [[3, 3, 5], [7], []]
    gamma, feasible = occupancy(random_lines(3, 24, 37, scale), *ragged(labels))
    assert feasible.all()
    assert torch.allclose(gamma.sum(-1), torch.ones(3, 24), atol=1e-6)
    assert (gamma >= 0).all()
    for row, label in zip(gamma, labels, strict=True):
        lacking = [c for c in range(1, 37) if c not in label]
        assert not row[:, lacking].any()
    assert (gamma[2, :, 0] == 1).all()


def test_an_unusable_label_leaves_the_answer_and_is_told():
    lines = random_lines(3, 6, 5)
    gamma, feasible = occupancy(lines, *ragged([[1, 2], [], [3]]), torch.tensor([True, False, True]))
    assert feasible.tolist() == [True, False, True]
    assert torch.allclose(gamma[1], lines[1].exp())


def test_excluded_classes_are_no_trouble_and_a_label_that_needs_one_is_told():
    lines = random_lines(2, 6, 4)
    lines[0, 2, 1] = -torch.inf
    lines[1, :, 1] = -torch.inf
    lines = lines.log_softmax(-1)
    gamma, feasible = occupancy(lines, *ragged([[1, 2], [1]]))
    assert feasible.tolist() == [True, False]
    assert np.allclose(gamma[0], all_paths(lines[0], [1, 2]), atol=1e-6)
    assert torch.allclose(gamma[1], lines[1].exp())


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_callers_without_gradients_get_the_same(mode):
    expected, _ = occupancy(random_lines(2, 6, 4), *ragged([[1, 2], [3]]))
    with mode():
        gamma, feasible = occupancy(random_lines(2, 6, 4), *ragged([[1, 2], [3]]))
    assert torch.equal(gamma, expected)
    assert feasible.all()
    assert not gamma.requires_grad


def test_the_answer_is_left_as_it_was():
    lines = random_lines(2, 6, 4).requires_grad_()
    before = lines.detach().clone()
    occupancy(lines, *ragged([[1, 2], [3]]))
    assert torch.equal(lines.detach(), before)
    assert lines.grad is None


def test_a_line_is_aligned_alike_in_any_batch():
    lines, labels = random_lines(4, 8, 5), [[1, 2], [3], [], [4, 4, 1]]
    whole, _ = occupancy(lines, *ragged(labels))
    part, _ = occupancy(lines[[3, 1]], *ragged([labels[3], labels[1]]))
    assert torch.allclose(part, whole[[3, 1]], atol=1e-7)
