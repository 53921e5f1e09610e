"""What went wrong in a scene, word by word: for reports, beside the figures of `train.hmean`.

Truths are found, missed, split, merged or ignored; detections right, false, a fragment, a merge or ignored.
- split: no detection alone finds the truth, but fragments, each more than half in it, together cover more
  than COVERED of it; told on GRID x GRID points over its box, so to about a thousandth.
- merged: not found, and a detection that covers more than COVERED of it does so with another truth too.
- ignored: the word lies in, or is, a region in which nothing counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shards.sample import Word
from train.hmean import BOUND, SLACK, Marks, mark
from train.overlap import Polygons
from train.scenes import Scene, certainty, protocol

COVERED = 0.7
GRID = 32


@dataclass(frozen=True, slots=True)
class Judged:
    """A mark per truth and per detection, in the order in which they were given."""

    truths: tuple[str, ...]
    found: tuple[str, ...]


def judged(truths: Sequence[Word], predictions: Sequence[Word], by: str = "icdar2015") -> Judged:
    """The marks of one scene, with all its detections; by: a protocol of `train.scenes`."""
    order = sorted(range(len(predictions)), key=lambda i: certainty(predictions[i]), reverse=True)
    marks = mark([Scene.of(truths, predictions)], protocol(by))
    of_truths = np.where(marks.pool.counted, "missed", "ignored").astype(object)
    of_found = np.where(marks.ignored, "ignored", "false").astype(object)
    right = marks.match >= 0
    of_found[right], of_truths[marks.match[right]] = "right", "found"
    _split(marks, of_truths, of_found)
    _merged(marks, of_truths, of_found)
    return Judged(tuple(of_truths), tuple(of_found[np.argsort(order)]))


def _split(marks: Marks, of_truths: np.ndarray, of_found: np.ndarray) -> None:
    mine, theirs = (np.abs(some.areas()) for some in (marks.pool.found, marks.pool.truths))
    alone = marks.area / (mine[marks.found] + theirs[marks.truth] - marks.area) > BOUND + SLACK
    inside = (marks.area / mine[marks.found] > BOUND + SLACK) & (of_found[marks.found] == "false")
    for truth in np.flatnonzero(of_truths == "missed").tolist():
        parts = marks.found[inside & (marks.truth == truth)]
        if len(parts) < 2 or alone[marks.truth == truth].any():
            continue
        if _cover(marks.pool.truths, truth, marks.pool.found, parts) > COVERED:
            of_truths[truth], of_found[parts] = "split", "fragment"


def _merged(marks: Marks, of_truths: np.ndarray, of_found: np.ndarray) -> None:
    theirs = np.abs(marks.pool.truths.areas())[marks.truth]
    covers = marks.pool.counted[marks.truth] & (marks.area / theirs > COVERED) & ~marks.ignored[marks.found]
    for found in np.unique(marks.found[covers]):
        under = marks.truth[covers & (marks.found == found)]
        lost = under[of_truths[under] == "missed"]
        if len(under) > 1 and len(lost):
            of_truths[lost] = "merged"
            if of_found[found] == "false":
                of_found[found] = "merge"


def _cover(truths: Polygons, truth: int, found: Polygons, parts: np.ndarray) -> float:
    """The share of a truth that parts cover together."""
    left, top, right, bottom = truths.boxes()[truth]
    steps = (np.arange(GRID) + 0.5) / GRID
    x, y = np.meshgrid(left + steps * (right - left), top + steps * (bottom - top))
    there = _inside(truths.corners(truth), x.ravel(), y.ravel())
    covered = np.any([_inside(found.corners(part), x.ravel(), y.ravel()) for part in parts], 0)
    return float((there & covered).sum() / max(1, there.sum()))


def _inside(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Whether points lie in a polygon [V,2]: a ray to the right meets its sides an odd number of times."""
    (a, b), (c, d) = corners.T[..., None], np.roll(corners, -1, 0).T[..., None]
    across = (b > y) != (d > y)
    return ((across & (x < a + (y - b) * (c - a) / np.where(b == d, 1.0, d - b))).sum(0) % 2).astype(bool)
