"""The prefix beam search against the sum over all paths, and against a plain beam search of one line."""

import itertools
from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import BadSettings
from train.beam import forward_log_prob, prefix_beam
from train.decode import greedy

WIDE = 400  # more prefixes than any of the tiny cases has


def random_lines(count, steps, classes, scale=2.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(count, steps, classes, generator=generator)).log_softmax(-1)


def peaked_lines(count, steps=24, classes=37, seed=0):
    """Mostly blank, with eight sure letters a line, as a trained CTC teacher answers."""
    generator = torch.Generator().manual_seed(seed)
    logits = 1.5 * torch.randn(count, steps, classes, generator=generator)
    logits[..., 0] += 12
    for line in logits:
        for step in torch.randperm(steps, generator=generator)[:8]:
            line[step, torch.randint(1, classes, (1,), generator=generator)] += 16
    return logits.log_softmax(-1)


def all_paths(log_probs):
    """Every reading with the log of the sum over its paths, best first; log_probs [T,C]."""
    rows, totals = log_probs.double().numpy(), defaultdict(list)
    for path in itertools.product(range(rows.shape[1]), repeat=rows.shape[0]):
        reading = tuple(c for c, _ in itertools.groupby(path) if c != 0)
        totals[reading].append(sum(rows[t, c] for t, c in enumerate(path)))
    scored = {reading: np.logaddexp.reduce(parts) for reading, parts in totals.items()}
    return sorted(((reading, s) for reading, s in scored.items() if s > -np.inf), key=lambda x: (-x[1], x[0]))


def plain_beam(log_probs, width):
    """One line, every class at every step, in dictionaries; log_probs [T,C]."""
    beam = {(): (1.0, 0.0)}
    for row in log_probs.double().exp().numpy():
        after = defaultdict(lambda: np.zeros(2))
        for prefix, (blank, spoken) in beam.items():
            after[prefix] += (row[0] * (blank + spoken), row[prefix[-1]] * spoken if prefix else 0.0)
            for c in range(1, len(row)):
                after[(*prefix, c)][1] += row[c] * (blank if prefix[-1:] == (c,) else blank + spoken)
        beam = dict(sorted(after.items(), key=lambda x: -x[1].sum())[:width])
    return [(prefix, np.log(sum(parts))) for prefix, parts in beam.items() if sum(parts) > 0]


def told(found, line):
    """The readings of one line as [(symbols, log-probability)]."""
    rows = zip(found.symbols[line], found.lengths[line], found.log_probs[line], strict=True)
    return [
        (tuple(symbols[:length].tolist()), float(score)) for symbols, length, score in rows if length >= 0
    ]


def agree(found, expected):
    """The same readings with the same scores, best first; float32 may turn neighbours around."""
    assert sorted(reading for reading, _ in found) == sorted(reading for reading, _ in expected)
    scores, wanted = dict(found), dict(expected)
    assert [scores[r] for r in scores] == pytest.approx([wanted[r] for r in scores], rel=1e-5, abs=1e-5)
    assert list(scores.values()) == sorted(scores.values(), reverse=True)


@pytest.mark.parametrize(("steps", "classes"), [(t, c) for t in range(6) for c in range(1, 5) if c**t < 800])
def test_a_wide_beam_is_the_sum_over_all_paths(steps, classes):
    lines = random_lines(3, steps, classes, seed=steps)
    found = prefix_beam(lines, n=WIDE, width=WIDE)
    for line in range(3):
        agree(told(found, line), all_paths(lines[line]))


@settings(max_examples=40, deadline=None)
@given(
    steps=st.integers(1, 5),
    classes=st.integers(2, 4),
    n=st.integers(1, 9),
    scale=st.floats(0.1, 30),
    seed=st.integers(0, 999),
)
def test_the_best_of_a_wide_beam_are_the_best_of_all(steps, classes, n, scale, seed):
    lines = random_lines(2, steps, classes, scale, seed)
    found = prefix_beam(lines, n=n, width=WIDE)
    assert found.lengths.shape == (2, n)
    for line in range(2):
        best = all_paths(lines[line])
        got = told(found, line)
        assert len(got) == min(n, len(best))
        assert [s for _, s in got] == pytest.approx([s for _, s in best[:n]], rel=1e-4, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(
    width=st.integers(1, 12), classes=st.integers(2, 30), scale=st.floats(0.5, 6), seed=st.integers(0, 999)
)
def test_trying_few_candidates_loses_nothing_that_a_plain_beam_keeps(width, classes, scale, seed):
    lines = random_lines(2, 7, classes, scale, seed)
    found = prefix_beam(lines, n=width, width=width)
    for line in range(2):
        agree(told(found, line), plain_beam(lines[line], width))


def test_peaked_lines_are_read_as_the_plain_beam_reads_them():
    lines = peaked_lines(4)
    found = prefix_beam(lines, n=5, width=10)
    for line in range(4):
        agree(told(found, line), plain_beam(lines[line], 10)[:5])
    assert [told(found, line)[0][0] for line in range(4)] == [r.symbols for r in greedy(lines)]


@pytest.mark.parametrize(("width", "lost"), [(1, 5.0), (10, 0.01), (50, 1e-3)])
def test_a_total_is_never_above_the_exact_one_and_near_it_where_the_beam_is_wide(width, lost):
    lines = peaked_lines(16)
    found = prefix_beam(lines, n=1, width=width)
    flat = torch.tensor([c for line in range(16) for c in told(found, line)[0][0]])
    exact = forward_log_prob(lines, flat, torch.from_numpy(found.lengths[:, 0])).numpy()
    assert (found.log_probs[:, 0] <= exact + 1e-5).all()
    assert (found.log_probs[:, 0] >= exact - lost).all()


def test_arrays_have_their_types_and_are_padded():
    lines = random_lines(2, 2, 2)
    found = prefix_beam(lines, n=5, width=8)
    assert (found.symbols.dtype, found.lengths.dtype) == (np.int64, np.int64)
    assert found.log_probs.dtype == np.float32
    assert found.symbols.shape == (2, 5, 1)  # two steps and one letter: "" and "a"
    assert sorted(found.lengths[0].tolist()) == [-1, -1, -1, 0, 1]
    assert found.lengths[0, 2:].tolist() == [-1] * 3
    assert not found.symbols[:, 2:].any()
    assert (found.log_probs[:, 2:] == -np.inf).all()


@pytest.mark.parametrize("classes", [0, 1])
def test_flat_lines_of_5990_classes_have_readings(classes):
    found = prefix_beam(torch.zeros(2, 12, 5990).log_softmax(-1), n=5, width=10, classes=classes)
    assert (found.lengths >= 0).all()
    assert np.isfinite(found.log_probs).all()


@pytest.mark.parametrize("width", [1, 10])
def test_the_best_class_of_a_step_is_always_tried(width):
    lines = torch.full((1, 3, 5990), -20.0)
    for step, symbol in enumerate((5989, 7, 4000)):
        lines[0, step, symbol] = 0.0
    assert told(prefix_beam(lines.log_softmax(-1), 1, width, classes=1), 0)[0][0] == (5989, 7, 4000)


def test_ties_are_told_in_the_order_of_the_symbols():
    found = prefix_beam(torch.zeros(3, 2, 4).log_softmax(-1), n=WIDE, width=WIDE)
    for line in range(3):
        readings = told(found, line)
        assert readings == sorted(readings, key=lambda r: (-r[1], r[0]))
        # three paths each spell "a", "b" and "c", one each the empty reading and the pairs
        assert [r for r, _ in readings] == [
            (1,), (2,), (3,), (), (1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2),
        ]  # fmt: skip


def test_among_equal_classes_the_lower_is_tried():
    lines = torch.zeros(1, 1, 9)
    lines[..., 0] = -5
    assert [r for r, _ in told(prefix_beam(lines.log_softmax(-1), 3, 4, classes=2), 0)] == [(1,), (2,), ()]


def test_a_line_is_read_alike_in_any_batch():
    lines = torch.cat([peaked_lines(5), torch.zeros(2, 24, 37).log_softmax(-1), random_lines(3, 24, 37)])
    whole = prefix_beam(lines)
    order = [7, 2, 9, 0, 5]
    part = prefix_beam(lines[order])
    for place, line in enumerate(order):
        assert told(part, place) == told(whole, line)
        assert told(prefix_beam(lines[line : line + 1]), 0) == told(whole, line)


def test_huge_and_excluded_scores_are_read():
    lines = random_lines(3, 8, 5, scale=1e4)
    found = prefix_beam(lines)
    assert [told(found, line)[0][0] for line in range(3)] == [r.symbols for r in greedy(lines)]
    excluded = torch.full((1, 3, 4), -torch.inf)
    excluded[0, 0, 2] = excluded[0, 1, 2] = excluded[0, 2, 1] = 0.0
    assert told(prefix_beam(excluded), 0) == [((2, 1), 0.0)]


def test_a_broken_line_has_no_reading_and_disturbs_no_other():
    lines = peaked_lines(3)
    whole = prefix_beam(lines)
    lines[1, 4] = torch.nan
    found = prefix_beam(lines)
    assert told(found, 1) == []
    assert [told(found, line) for line in (0, 2)] == [told(whole, line) for line in (0, 2)]


def test_no_line_and_no_step_are_no_trouble():
    assert prefix_beam(torch.zeros(0, 4, 5)).lengths.shape == (0, 5)
    assert told(prefix_beam(torch.zeros(1, 0, 5)), 0) == [((), 0.0)]


@pytest.mark.parametrize("wrong", [{"n": 0}, {"n": 5, "width": 4}, {"classes": -1}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(BadSettings, match="n is 1 to width"):
        prefix_beam(torch.zeros(1, 2, 3), **wrong)


@settings(max_examples=30, deadline=None)
@given(
    labels=st.lists(st.lists(st.integers(1, 2), max_size=4), min_size=1, max_size=3), steps=st.integers(1, 4)
)
def test_the_forward_probability_is_the_sum_over_all_paths(labels, steps):
    lines = random_lines(len(labels), steps, 3)
    flat = torch.tensor([c for label in labels for c in label], dtype=torch.int64)
    found = forward_log_prob(lines, flat, torch.tensor([len(label) for label in labels]))
    for line, label, score in zip(lines, labels, found.tolist(), strict=True):
        assert score == pytest.approx(dict(all_paths(line)).get(tuple(label), -np.inf), abs=1e-5)
