"""The rule of ICDAR2015 task 4.1: which detections find which truths; precision, recall, harmonic mean H.

A detection of which more than half lies in one ignored region is left out. Of the others, and of the truths
that count, pairs with IoU > 0.5 are matched, each used once: truth after truth takes the first detection that
is left. Detections stand by falling score; so a match never depends on detections of lower scores, and one
matching serves all thresholds. Counts are summed over all scenes (D. Karatzas et al., ICDAR 2015 competition
on robust reading). Coordinates are taken as they are, not rounded.
Letters: N scenes, G truths, D detections, K thresholds, P pairs whose boxes meet, R resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from train import metrics
from train.metrics import Comparison
from train.overlap import shared
from train.scenes import Pool, Protocol, Scene

BOUND = 0.5  # of IoU, and of the share of a detection in an ignored region
SLACK = 1e-9  # what rounding may add: a share that equals the bound is not above it


@dataclass(frozen=True, slots=True)
class Figures:
    """Fractions over all scenes; 0 where there is nothing to divide by."""

    precision: float
    recall: float
    hmean: float


@dataclass(frozen=True, slots=True)
class Curve:
    """Thresholds float64 [K], falling, which are the scores that count, and the figures [K] at each."""

    thresholds: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    hmean: np.ndarray

    def at(self, threshold: float) -> Figures:
        """The figures of the detections whose score is at least the threshold."""
        place = int(np.searchsorted(-self.thresholds, -threshold, side="right")) - 1
        if place < 0:
            return Figures(0.0, 0.0, 0.0)
        return Figures(*(float(v[place]) for v in (self.precision, self.recall, self.hmean)))

    def best(self) -> tuple[float, float]:
        """The threshold of the highest H, the highest such one, and that H; (1, 0) without any detection."""
        if not len(self.hmean):
            return 1.0, 0.0
        place = int(self.hmean.argmax())
        return float(self.thresholds[place]), float(self.hmean[place])


@dataclass(frozen=True, slots=True)
class Marks:
    """What the rule says of every detection of a pool: match int64 [D] (a truth, or -1), ignored bool [D].

    Of the pairs that share something: found and truth int64 [P], area float64 [P] in square pixels.
    """

    pool: Pool
    match: np.ndarray
    ignored: np.ndarray
    found: np.ndarray
    truth: np.ndarray
    area: np.ndarray

    def sums(self, threshold: float) -> np.ndarray:
        """int64 [N,3] per scene: matches, truths that count, detections that count, scored at least so."""
        pool, there = self.pool, (self.pool.scores >= threshold) & ~self.ignored
        some = (pool.of_found[there & (self.match >= 0)], pool.of_truth[pool.counted], pool.of_found[there])
        return np.stack([np.bincount(scene, minlength=pool.n) for scene in some], 1)

    def curve(self) -> Curve:
        """The figures at every score as threshold."""
        counts = ~self.ignored
        order = np.argsort(-self.pool.scores[counts], kind="stable")
        scores, right = self.pool.scores[counts][order], (self.match[counts] >= 0)[order]
        last = np.flatnonzero(np.append(scores[1:] != scores[:-1], len(scores) > 0))
        sums = np.stack([right.cumsum()[last], np.full(len(last), self.pool.counted.sum()), last + 1], 1)
        return Curve(scores[last], *_fractions(sums).T)


def mark(scenes: Sequence[Scene], protocol: Protocol) -> Marks:
    """Applies the rule to scenes."""
    pool = protocol.pool(scenes)
    found, truth = _meeting(pool)
    area = shared(pool.found, pool.truths, found, truth)
    mine, theirs = np.abs(pool.found.areas())[found], np.abs(pool.truths.areas())[truth]
    ignored = np.zeros(len(pool.scores), bool)
    ignored[found[~pool.counted[truth] & (area / mine > BOUND + SLACK)]] = True
    able = pool.counted[truth] & ~ignored[found] & (area / (mine + theirs - area) > BOUND + SLACK)
    match = _matched(found[able], truth[able], len(pool.scores))
    return Marks(pool, match, ignored, found, truth, area)


def _meeting(pool: Pool) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (detection, truth) of one scene whose upright boxes share an area, by detection, then truth."""
    found, truths = pool.found.boxes(), pool.truths.boxes()
    ends = [np.searchsorted(scene, np.arange(pool.n + 1)) for scene in (pool.of_found, pool.of_truth)]
    pairs = [np.zeros((2, 0), np.int64)]
    for i, k, j, m in zip(ends[0], ends[0][1:], ends[1], ends[1][1:], strict=False):
        mine, theirs = found[i:k, None], truths[None, j:m]
        low, high = np.maximum(mine[..., :2], theirs[..., :2]), np.minimum(mine[..., 2:], theirs[..., 2:])
        pairs.append(np.stack(np.nonzero((low < high).all(2))) + np.array([[i], [j]]))
    found, truth = np.concatenate(pairs, 1)
    return found, truth


def _matched(found: np.ndarray, truth: np.ndarray, n: int) -> np.ndarray:
    """The truth of each of n detections, or -1: by falling score each takes the first that is left.

    That is the matching of truth after truth to the first detection left: the detection of the lowest score
    changes no other's match, and takes the first truth that would be left without it.
    """
    match, taken = np.full(n, -1, np.int64), set()
    for i, j in zip(found.tolist(), truth.tolist(), strict=True):
        if match[i] < 0 and j not in taken:
            match[i] = j
            taken.add(j)
    return match


def figures(sums: np.ndarray) -> Figures:
    """Of the sums [3] or [N,3] of `Marks.sums`, of all scenes together."""
    return Figures(*_fractions(sums.reshape(-1, 3).sum(0, keepdims=True))[0].tolist())


def interval(sums: np.ndarray, seed: int = 0) -> dict[str, float]:
    """H of the sums [N,3] per scene as {"value", "low", "high"}: a 95 % bootstrap interval over scenes."""
    return metrics.interval(figures(sums).hmean, _h(metrics.resampled(sums.T.astype(np.float64), seed)))


def compare(mine: Mapping[int, np.ndarray], theirs: Mapping[int, np.ndarray], seed: int = 0) -> Comparison:
    """Is mine better? H of mine less that of theirs, by the sums [3] of the same scenes, {uid: sums}."""
    if mine.keys() != theirs.keys() or not mine:
        raise ValueError(
            f"paired scenes are needed, got {len(mine)} and {len(theirs)} of other uids, or none"
        )
    a, b = (np.stack([sums[uid] for uid in sorted(mine)]) for sums in (mine, theirs))
    drawn = metrics.resampled(np.concatenate([a, b], 1).T.astype(np.float64), seed)  # [R,6]
    return metrics.compared(figures(a).hmean - figures(b).hmean, _h(drawn[:, :3]) - _h(drawn[:, 3:]))


def _fractions(sums: np.ndarray) -> np.ndarray:
    """Precision, recall and H [K,3] of sums [K,3]."""
    right, truths, found = sums.T
    return np.stack([right / np.maximum(1, found), right / np.maximum(1, truths), _h(sums)], 1)


def _h(sums: np.ndarray) -> np.ndarray:
    """The harmonic mean [K] of precision and recall, 2 m / (G + D)."""
    return 2 * sums[:, 0] / np.maximum(1, sums[:, 1] + sums[:, 2])
