"""The rule of ICDAR2015 against one written otherwise, its curve, and its intervals."""

import random
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from shards.sample import Word
from tests.train import official
from train.hmean import compare, figures, interval, mark
from train.overlap import Polygons
from train.scenes import Scene, protocol


def word(polygon, legible=True, score=None):
    return Word("a" if legible else None, tuple(polygon), legible, score)


def box(left, top, right, bottom):
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def simple(draw, x, y, w, h):
    """Corners at whole numbers around a place: often a box, often any quad, at times one more corner."""
    while True:
        jitter = draw.choice([0, 0, 3])
        corners = [(x + a * w + draw.randint(-jitter, jitter), y + b * h + draw.randint(-jitter, jitter))
                   for a, b in ((0, 0), (1, 0), (1, 1), (0, 1))]  # fmt: skip
        if draw.random() < 0.2:
            corners.insert(1, (x + w // 2, y + draw.randint(-2, h // 2)))
        if draw.random() < 0.5:
            corners.reverse()
        if Polygons.of([corners]).sound().all():
            return tuple(corners)


def picture(draw):
    """Words in a small space, many too near; detections of them: moved, cut, wide, twice."""
    truths, found = [], []
    for _ in range(draw.randint(0, 7)):
        size = draw.randint(4, 14), draw.randint(3, 8)
        place = draw.randint(0, 30), draw.randint(0, 20)
        truths.append(word(simple(draw, *place, *size), draw.random() < 0.6))
    for truth in truths:
        for _ in range(draw.randint(0, 3)):
            left, top = (min(p[k] for p in truth.polygon) + draw.randint(-2, 2) for k in (0, 1))
            right, bottom = (max(p[k] for p in truth.polygon) + draw.randint(-2, 2) for k in (0, 1))
            size = max(2, (right - left) * draw.choice([2, 2, 2, 1, 4]) // 2), max(2, bottom - top)
            found.append(word(simple(draw, left, top, *size), score=draw.randint(1, 9) / 10))
    draw.shuffle(found)
    return Scene.of(truths, found)


def same(draws):
    met = Counter()
    scenes = [picture(random.Random(seed)) for seed in range(draws)]
    marks = mark(scenes, protocol("icdar2015"))
    for threshold in (0.0, 0.5):
        sums = marks.sums(threshold)
        for scene, ours in zip(scenes, sums.tolist(), strict=True):
            there = [w.polygon for w in scene.found if w.score >= threshold]
            right = official.counts([(w.polygon, w.legible) for w in scene.truths], there)
            assert tuple(ours) == right, (scene, threshold)
            met.update(match=right[0], ignored=len(there) - right[2], missed=right[1] - right[0])
        if len(marks.curve().thresholds):
            assert marks.curve().at(threshold) == figures(sums)
    assert min(met[name] for name in ("match", "ignored", "missed")) > draws / 2


def test_a_thousand_pictures_count_as_by_the_rule_written_otherwise():
    same(1_000)


@pytest.mark.campaign
def test_ten_thousand_pictures_count_as_by_the_rule_written_otherwise():
    same(10_000)


def test_the_other_rule_measures_right():
    square, dart = box(0, 0, 4, 4), ((0, 0), (8, 2), (0, 4), (2, 2))
    assert official.shared(square, dart) == official.shared(dart, square) == 8
    assert official.shared(dart, dart) == 12
    assert official.shared(square, box(4, 0, 5, 1)) == 0


TRUTH, BIG = word(box(0, 0, 10, 10)), word(box(0, 0, 100, 100), legible=False)
TABLE = [
    ("nothing at all", [], [], (0, 0, 0)),
    ("a miss", [TRUTH], [], (0, 1, 0)),
    ("a false alarm", [], [TRUTH], (0, 0, 1)),
    ("an IoU of exactly a half is no match", [TRUTH], [word(box(0, 0, 10, 5))], (0, 1, 1)),
    ("an IoU above a half is one", [TRUTH], [word(box(0, 0, 10, 5.001))], (1, 1, 1)),
    ("a truth is found once", [TRUTH], [TRUTH, TRUTH], (1, 1, 2)),
    ("a detection finds once", [TRUTH, TRUTH], [TRUTH], (1, 2, 1)),
    ("in a region nothing counts", [BIG], [word(box(0, 0, 9, 9)), word(box(50, 50, 60, 60))], (0, 0, 0)),
    ("half in a region counts", [BIG], [word(box(95, 0, 105, 5))], (0, 0, 1)),
    ("more than half does not", [BIG], [word(box(94, 0, 105, 5))], (0, 0, 0)),
    ("a region takes even what would match", [TRUTH, BIG], [TRUTH], (0, 1, 0)),
    ("without an outline a truth is ignored, a detection false", [Word("a")], [Word("a")], (0, 0, 1)),
    ("so it is with crossing sides", [word([(0, 0), (4, 4), (4, 0), (0, 4)])] * 2,
     [word([(0, 0), (4, 4), (4, 0), (0, 4)])], (0, 0, 1)),
    ("and without an area", [word([(0, 0), (1, 1), (2, 2), (3, 3)])], [word([(0, 0)] * 4)], (0, 0, 1)),
    ("which way a polygon runs is the same", [word(box(0, 0, 10, 10)[::-1])], [TRUTH], (1, 1, 1)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("truths", "found", "right"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_counts_by_hand(truths, found, right):
    assert tuple(mark([Scene.of(truths, found)], protocol("icdar2015")).sums(0.0)[0]) == right


def test_regions_are_taken_one_by_one():
    halves = [word(box(0, 0, 4, 10), legible=False), word(box(6, 0, 10, 10), legible=False)]
    assert mark([Scene.of(halves, [TRUTH])], protocol("icdar2015")).sums(0.0).tolist() == [[0, 0, 1]]


def test_the_curve_is_the_figures_at_every_threshold():
    scenes = [picture(random.Random(seed)) for seed in range(60)]
    marks = mark(scenes, protocol("icdar2015"))
    curve = marks.curve()
    assert all(a > b for a, b in pairwise(curve.thresholds))
    for k, threshold in enumerate(curve.thresholds):
        at = figures(marks.sums(threshold))
        assert (at.precision, at.recall, at.hmean) == (curve.precision[k], curve.recall[k], curve.hmean[k])
    threshold, best = curve.best()
    assert best == curve.hmean.max() == curve.at(threshold).hmean
    assert curve.at(2.0) == figures(np.zeros((1, 3), int))
    assert mark([], protocol("icdar2015")).curve().best() == (1.0, 0.0)
    p, r = curve.precision, curve.recall
    np.testing.assert_allclose(curve.hmean, 2 * p * r / np.maximum(1e-12, p + r))


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    for seed in range(100):
        truths = rng.integers(1, 9, 80)
        right = rng.binomial(truths, 0.7)
        found = interval(np.stack([right, truths, truths], 1), seed)
        assert found["low"] <= found["value"] <= found["high"]
        hits += found["low"] <= 0.7 <= found["high"]
    assert 88 <= hits <= 100


def sums(right, n=40):
    return {uid: np.array([right, 10, 10]) for uid in range(n)}


@pytest.mark.parametrize(
    ("mine", "theirs", "verdict"), [(8, 6, "BETTER"), (6, 8, "WORSE"), (7, 7, "NO DIFFERENCE")]
)
def test_the_verdict_is_of_the_same_scenes(mine, theirs, verdict):
    found = compare(sums(mine), sums(theirs))
    assert (found.verdict, found.difference) == (verdict, pytest.approx((mine - theirs) / 10))
    assert found.low == pytest.approx(found.high)  # every scene differs alike: nothing to be unsure of


def test_a_difference_of_few_scenes_is_none():
    mine = {uid: np.array([5 + uid % 3, 10, 10]) for uid in range(9)}
    theirs = {uid: np.array([5 + (uid + 1) % 3, 10, 10]) for uid in range(9)}
    found = compare(mine, theirs, seed=3)
    assert (found.verdict, found.difference) == ("NO DIFFERENCE", 0)
    assert found == compare(dict(reversed(mine.items())), theirs, seed=3)


@pytest.mark.parametrize("theirs", [{}, {7: np.array([1, 1, 1])}])
def test_other_scenes_are_no_pair(theirs):
    with pytest.raises(ValueError, match="paired"):
        compare({8: np.array([1, 1, 1])} if theirs else {}, theirs)
