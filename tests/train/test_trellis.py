"""The trellis against the sum, and the best, of all paths."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.train.exhaustive import all_readings, lines
from train import trellis
from train.decode import log_softmax


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(st.lists(st.integers(1, 2), max_size=4), min_size=1, max_size=3),
    steps=st.integers(1, 5), scale=st.floats(0.1, 20), seed=st.integers(0, 999),
)  # fmt: skip
def test_the_probability_is_the_sum_over_all_paths(labels, steps, scale, seed):
    logits = lines(len(labels), steps, 3, scale, seed)
    found = trellis.log_probability(log_softmax(logits.numpy()), labels)
    for line, label, score in zip(logits, labels, found, strict=True):
        assert score == pytest.approx(all_readings(line).get(tuple(label), -np.inf), abs=1e-4, rel=1e-5)


@settings(max_examples=40, deadline=None)
@given(label=st.lists(st.integers(1, 3), max_size=3), steps=st.integers(1, 5), seed=st.integers(0, 999))
def test_the_best_path_is_the_best_of_those_that_spell_it(label, steps, seed):
    log_probs = log_softmax(lines(1, steps, 4, seed=seed).numpy())
    paths = [
        (sum(log_probs[0, t, c] for t, c in enumerate(path)), path)
        for path in itertools.product(range(4), repeat=steps)
        if [c for c, _ in itertools.groupby(path) if c] == label
    ]
    if paths:
        assert tuple(trellis.best_paths(log_probs, [label])[0]) == max(paths)[1]
    else:
        with pytest.raises(ValueError, match="no path"):
            trellis.best_paths(log_probs, [label])


def test_a_long_line_of_many_classes_does_not_underflow():
    flat = log_softmax(np.zeros((1, 300, 6000), np.float32))
    assert np.isfinite(trellis.log_probability(flat, [[1, 2, 3]])).all()
