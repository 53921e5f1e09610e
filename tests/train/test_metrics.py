"""Golden tables for every metric, intervals, and the verdict."""

import math
import time

import numpy as np
import pytest

from train.metrics import METRICS, better, edit_distance, paired_bootstrap, reduce36, same36, scores, wilson

NAMES = ("word_acc", "word_acc_ics", "cer", "one_minus_ned", "edit_distance_mean", "edit_distance_normalised")
# (truth, prediction) pairs -> the metrics in this order
GOLDEN = [
    ([("", "")], (1, 1, 0, 1, 0, 0)),
    ([("", "ab")], (0, 0, 2, 0, 2, 1)),
    ([("ab", "")], (0, 0, 1, 0, 2, 1)),
    ([("abcd", "abxd")], (0, 0, 1 / 4, 3 / 4, 1, 1 / 4)),
    ([("ab", "abcd")], (0, 0, 1, 1 / 2, 2, 1)),
    ([("a", "bcd")], (0, 0, 3, 0, 3, 3)),
    ([("Don't", "dont")], (0, 1, 2 / 5, 3 / 5, 2, 2 / 5)),
    ([("&", "")], (0, 0, 1, 0, 1, 1)),
    ([("&", "&")], (1, 0, 0, 1, 0, 0)),
    ([("caf\u00e9", "caf")], (0, 1, 1 / 4, 3 / 4, 1, 1 / 4)),
    ([("a", "a"), ("bcd", "xyz")], (1 / 2, 1 / 2, 3 / 4, 1 / 2, 3 / 2, 1 / 2)),
    ([("", "x"), ("ab", "ab")], (1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 2, 1 / 2)),
    ([], (0, 0, 0, 0, 0, 0)),
]


@pytest.mark.parametrize(("pairs", "values"), GOLDEN)
def test_every_metric_gives_its_golden_value(pairs, values):
    truths, predictions = [t for t, _ in pairs], [p for _, p in pairs]
    found = [METRICS[name](truths, predictions) for name in NAMES]
    assert found == pytest.approx(list(values))


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [("", "", 0), ("", "abc", 3), ("kitten", "sitting", 3), ("ab", "ba", 2), ("A", "a", 1)],
)
def test_edit_distance_counts_code_points(a, b, edits):
    assert edit_distance(a, b) == edit_distance(b, a) == edits


def test_the_36_character_protocol_reduces_both_sides():
    assert reduce36("It's 5-\u00c9!") == "its5"
    assert same36("HELLO!", "hello")
    assert not same36("!!", "")
    assert same36("", "")


def test_scores_agree_with_the_single_metrics_and_lie_in_their_intervals():
    rng = np.random.default_rng(3)
    truths = ["".join(rng.choice(list("abc"), rng.integers(0, 6))) for _ in range(200)]
    predictions = [t if rng.random() < 0.7 else t[:-1] + "x" for t in truths]
    found = scores(truths, predictions, confidences=[0.5] * 200)
    for name in NAMES:
        assert found[name]["value"] == pytest.approx(METRICS[name](truths, predictions))
        assert found[name]["low"] < found[name]["value"] < found[name]["high"]
    assert found["mean_conf"] == {"value": 0.5, "low": 0.5, "high": 0.5}
    assert (found["n"], found["n_unique"]) == (200, len(set(truths)))
    assert found == scores(truths, predictions, confidences=[0.5] * 200)


def test_nothing_to_score_is_an_error():
    with pytest.raises(ValueError, match="no words"):
        scores([], [])
    with pytest.raises(ValueError, match="zip"):
        scores(["a"], [])


def test_two_thousand_words_are_scored_within_two_seconds():
    truths, start = [f"word{i}" for i in range(2000)], time.perf_counter()
    scores(truths, truths)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize(
    ("right", "n", "low", "high"),
    [
        (0, 0, 0, 1),
        (0, 10, 0, 0.2775),
        (10, 10, 0.7225, 1),
        (5, 10, 0.2366, 0.7634),
        (146, 195, 0.6835, 0.8044),
    ],
)
def test_wilson_intervals_have_their_textbook_values(right, n, low, high):
    assert wilson(right, n) == pytest.approx((low, high), abs=5e-4)


def test_bootstrap_intervals_cover_the_true_mean_about_as_often_as_they_say():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(100):
        edits = rng.poisson(1.0, 100)
        found = scores(["aaaaaaaaaa"] * 100, ["a" * (10 - int(e)) for e in edits], seed=seed)
        hits += found["edit_distance_mean"]["low"] <= 1.0 <= found["edit_distance_mean"]["high"]
    assert 88 <= hits <= 100


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        ([1] * 80 + [0] * 20, [1] * 60 + [0] * 40, "BETTER"),
        ([1] * 60 + [0] * 40, [1] * 80 + [0] * 20, "WORSE"),
        ([1, 0] * 50, [0, 1] * 50, "NO DIFFERENCE"),
        ([1] * 51 + [0] * 49, [1] * 50 + [0] * 50, "NO DIFFERENCE"),
        ([1, 0, 1], [1, 0, 1], "NO DIFFERENCE"),
        ([0], [0], "NO DIFFERENCE"),
    ],
)
def test_the_verdict_follows_the_interval(a, b, verdict):
    found = paired_bootstrap(a, b, seed=1)
    assert found.verdict == verdict
    assert found.difference == pytest.approx((sum(a) - sum(b)) / len(a))
    assert found.low <= found.difference <= found.high
    assert (found.p < 0.05) == (verdict != "NO DIFFERENCE")
    assert found == paired_bootstrap(a, b, seed=1)


def test_identical_readers_do_not_differ_at_all():
    found = paired_bootstrap([1, 0, 1, 1], [1, 0, 1, 1], seed=0)
    assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


@pytest.mark.parametrize(("a", "b"), [([1], [1, 0]), ([], [])])
def test_unpaired_or_missing_samples_are_an_error(a, b):
    with pytest.raises(ValueError, match="paired"):
        paired_bootstrap(a, b)


@pytest.mark.parametrize(
    ("name", "value", "than", "is_better"),
    [
        ("word_acc", 0.5, 0.4, True), ("word_acc", 0.4, 0.5, False), ("word_acc", 0.5, 0.5, False),
        ("cer", 0.4, 0.5, True), ("cer", 0.5, 0.4, False), ("cer", 0.5, 0.5, False),
        ("hmean", 0.0, math.nan, True), ("cer", 9.0, math.nan, True), ("cer", math.nan, 1.0, False),
    ],
)  # fmt: skip
def test_a_figure_is_better_in_its_own_direction_and_anything_than_none(name, value, than, is_better):
    assert better(name, value, than) is is_better
