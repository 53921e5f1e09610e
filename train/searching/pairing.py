"""How sure a difference is that was seen over several seeds and, where they are known, over words.

Letters: S seeds, W words, P distinct columns, R resamples.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np

RESAMPLES = 10_000
# 97.5 % quantiles of Student's t for 1, 2, ... degrees of freedom; beyond them, those of the normal law do
T975 = (
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131,
    2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042,
)  # fmt: skip
Z975 = 1.960


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean, its 95 % interval, and over what it was taken (words: 0 where only seeds were)."""

    mean: float
    low: float
    high: float
    seeds: int
    words: int = 0

    @property
    def half(self) -> float:
        """Half the width: of a difference, the smallest gain that could have been told from none."""
        return (self.high - self.low) / 2

    @property
    def verdict(self) -> str:
        """BETTER or WORSE where the interval of a difference leaves out 0."""
        return "BETTER" if self.low > 0 else "WORSE" if self.high < 0 else "NO DIFFERENCE"


@dataclass(frozen=True, slots=True)
class Words:
    """Which words a model read right: uids [W] ascending, right [W]."""

    uids: np.ndarray
    right: np.ndarray


def words(right: Mapping[str, bool]) -> Words:
    """From {uid in hex: read right}."""
    uids = np.array([int(uid, 16) for uid in right], dtype=np.uint64)
    order = np.argsort(uids)
    return Words(uids[order], np.array(list(right.values()), dtype=bool)[order])


def over_seeds(values: Sequence[float]) -> Interval | None:
    """The mean of one value a seed with Student's interval; None for a single one, which tells no spread."""
    n = len(values)
    if n < 2:
        return None
    mean = math.fsum(values) / n
    half = (T975[n - 2] if n - 2 < len(T975) else Z975) * deviation(values) / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def over_words(mine: Sequence[Words], theirs: Sequence[Words] = (), seed: int = 0) -> Interval | None:
    """The share of right words, averaged over seeds, less theirs; None if no word was read by all.

    mine, theirs: one to a seed, in one order of seeds. The interval is a bootstrap's over words and seeds,
    both drawn anew, so that what only one seed shows is not taken for a gain; with one seed it speaks of
    words alone.
    """
    shared = reduce(np.intersect1d, (one.uids for one in (*mine, *theirs)))
    if not len(shared):
        return None
    table = np.stack([_on(one, shared) for one in mine])  # [S,W]
    if theirs:
        table = table - np.stack([_on(one, shared) for one in theirs])
    # Words of one column are alike: how often each kind is drawn is a multinomial, exact and quick.
    columns, counts = np.unique(table, axis=1, return_counts=True)  # [S,P], [P]
    draws = np.random.default_rng(seed)
    kinds = draws.multinomial(len(shared), counts / len(shared), RESAMPLES)  # [R,P]
    seeds = draws.multinomial(len(mine), [1 / len(mine)] * len(mine), RESAMPLES)  # [R,S]
    means = ((kinds @ columns.T) * seeds).sum(1) / (len(shared) * len(mine))
    low, high = (float(v) for v in np.percentile(means, [2.5, 97.5]))
    return Interval(float(table.mean()), low, high, len(mine), len(shared))


def deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample; 0 for a single value."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _on(one: Words, shared: np.ndarray) -> np.ndarray:
    return one.right[np.searchsorted(one.uids, shared)].astype(np.int64)
