"""Regions of a map: cells that touch, sides or corners, and what goes around each.

Cells side by side in a row are one run; runs of neighbouring rows that touch are one region. Regions are
joined a whole map at a time: every root hooks onto the least that it touches, and chains are cut short, until
nothing moves (Shiloach and Vishkin 1982).
Letters: H W cells of a map, R runs, K regions; cell i reaches from i to i + 1.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Regions:
    """Runs by row, first cell and the cell behind their last, and whose they are, 0 to K - 1: int64 [R]."""

    rows: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    owners: np.ndarray

    @classmethod
    def of(cls, inside: np.ndarray) -> "Regions":
        """Of the true cells of a map, bool [H,W]."""
        steps = np.diff(np.pad(inside, ((0, 0), (1, 1))).astype(np.int8), axis=1)
        rows, starts = np.nonzero(steps == 1)
        ends = np.nonzero(steps == -1)[1]
        roots = _joined(len(rows), *_touching(rows, starts, ends, inside.shape[1] + 2))
        return cls(rows, starts, ends, np.unique(roots, return_inverse=True)[1])

    def __len__(self) -> int:
        return int(self.owners.max(initial=-1)) + 1

    def sizes(self) -> np.ndarray:
        """How many cells each has, [K]."""
        return np.bincount(self.owners, self.ends - self.starts, len(self))

    def sums(self, values: np.ndarray) -> np.ndarray:
        """What a map [H,W] adds up to in each, [K]."""
        lengths = self.ends - self.starts
        before = self.rows * values.shape[1] + self.starts - lengths.cumsum() + lengths
        cells = np.repeat(before, lengths) + np.arange(lengths.sum())
        return np.bincount(np.repeat(self.owners, lengths), values.ravel()[cells], len(self))

    def ends_of(self, which: int) -> list[tuple[float, float]]:
        """The centres (x, y) of the first and last cells of a region's runs: its hull is theirs."""
        runs = self.owners == which
        rows, starts, ends = self.rows[runs] + 0.5, self.starts[runs] + 0.5, self.ends[runs] - 0.5
        return list(zip([*starts.tolist(), *ends.tolist()], [*rows.tolist()] * 2, strict=True))


def _touching(
    rows: np.ndarray, starts: np.ndarray, ends: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of runs, one a row above the other, that share a side or a corner."""
    below = (rows + 1) * width
    first = np.searchsorted(rows * width + ends, below + starts, "left")
    last = np.searchsorted(rows * width + starts, below + ends, "right")
    counts = np.maximum(last - first, 0)
    upper = np.repeat(np.arange(len(rows)), counts)
    return upper, np.arange(counts.sum()) + np.repeat(first - counts.cumsum() + counts, counts)


def _joined(count: int, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The least run [R] of the region of each, given pairs of runs that touch."""
    roots = np.arange(count)
    while True:
        a, b = roots[one], roots[other]
        apart = a != b
        if not apart.any():
            return roots
        np.minimum.at(roots, np.maximum(a, b)[apart], np.minimum(a, b)[apart])
        while not np.array_equal(further := roots[roots], roots):
            roots = further
