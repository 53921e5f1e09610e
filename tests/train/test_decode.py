"""Greedy decoding against a loop, and what confidence means."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from train.decode import greedy


def peaked(paths, classes=4, height=20.0):
    """Logits [N,L,C] whose best path is the given one."""
    return torch.nn.functional.one_hot(torch.tensor(paths), classes).float() * height


PATHS = st.integers(1, 8).flatmap(
    lambda n: st.lists(st.lists(st.integers(0, 3), min_size=n, max_size=n), min_size=1)
)


@given(PATHS)
def test_repeats_merge_and_blanks_go(paths):
    expected = [tuple(c for c, _ in itertools.groupby(path) if c) for path in paths]
    assert [reading.symbols for reading in greedy(peaked(paths))] == expected


@pytest.mark.parametrize(
    ("path", "symbols"),
    [([0, 0, 0], ()), ([1, 1, 1], (1,)), ([1, 0, 1], (1, 1)), ([0, 1, 2], (1, 2)), ([3, 3, 0], (3,))],
)
def test_the_golden_paths(path, symbols):
    assert greedy(peaked([path]))[0].symbols == symbols


def test_confidence_is_the_product_at_the_first_step_of_each_run():
    probabilities = torch.tensor([[[0.1, 0.9, 0.0], [0.4, 0.6, 0.0], [0.8, 0.1, 0.1], [0.2, 0.1, 0.7]]])
    reading = greedy(probabilities.log())[0]
    assert reading.symbols == (1, 2)
    assert reading.confidence == pytest.approx(0.9 * 0.7)


def test_an_empty_reading_is_as_sure_as_its_path_of_blanks():
    probabilities = torch.tensor([[[0.9, 0.1], [0.6, 0.4]]])
    reading = greedy(probabilities.log())[0]
    assert reading.symbols == ()
    assert reading.confidence == pytest.approx(0.54)


def test_logits_and_their_log_probabilities_read_the_same():
    logits = torch.randn(16, 24, 37, generator=torch.Generator().manual_seed(0))
    for raw, normalised in zip(greedy(logits), greedy(logits.log_softmax(-1)), strict=True):
        assert raw.symbols == normalised.symbols
        assert raw.confidence == pytest.approx(normalised.confidence, rel=1e-4)


def test_an_empty_batch_has_no_readings():
    assert greedy(torch.zeros(0, 24, 37)) == []


@pytest.mark.parametrize("shift", [-3e4, -70.0, 70.0, 3e4])
def test_a_reading_is_as_sure_wherever_its_logits_lie(shift):
    torch.manual_seed(0)
    logits = 4 * torch.randn(5, 12, 37)
    logits[1] += shift
    logits[3, 4:] += shift
    for moved, still in zip(greedy(logits), greedy(logits.log_softmax(-1)), strict=True):
        assert moved.symbols == still.symbols
        assert moved.confidence == pytest.approx(still.confidence, rel=0.05, abs=1e-12)
        assert moved.characters == pytest.approx(still.characters, rel=0.02)
