"""The order of a mixture: an epoch is a fixed number of draws, shared among the sources by their weights.

Each source gives its samples in passes of its own, every key once a pass, and goes on in the next epoch where
it stopped. Its draws lie evenly over the epoch, so every batch holds the sources in the same proportion.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from shards.errors import BadSettings
from shards.plan import Plan


class Mixture(Plan):
    """A plan over samples of several sources. source: of each sample, from 0; weights: of the sources.

    draws: samples per epoch, 0 = as many as there are. The other arguments are those of `Plan`.
    """

    def __init__(
        self,
        uids: np.ndarray,
        source: np.ndarray,
        weights: Sequence[float],
        global_batch: int,
        seed: int = 0,
        window: int | None = None,
        shard: np.ndarray | None = None,
        draws: int = 0,
    ) -> None:
        super().__init__(uids, global_batch, seed, True, window, shard)
        self.drawn = lru_cache(maxsize=2)(self._drawn)
        self._places = [np.flatnonzero(source == k).astype(np.int32) for k in range(len(weights))]
        self.quotas = quotas(weights, draws or len(self.uids))
        for k, (places, quota) in enumerate(zip(self._places, self.quotas, strict=True)):
            if quota and not len(places):
                raise BadSettings(f"data.weights: source {k} has weight {weights[k]} and no samples")
        self._sources = [
            Plan(self.uids[places], 1, seed, True, window, self.shard[places]) for places in self._places
        ]

    @property
    def length(self) -> int:
        """Draws per epoch."""
        return int(self.quotas.sum())

    def _order(self, epoch: int) -> np.ndarray:
        return self.drawn(epoch)[0]

    def _passes(self, epoch: int) -> np.ndarray:
        return self.drawn(epoch)[1]

    def _drawn(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """(positions, passes) of all draws of an epoch, in order."""
        positions, passes, times = [], [], []
        for quota, places, source in zip(self.quotas.tolist(), self._places, self._sources, strict=True):
            if quota:
                begin, end, size = epoch * quota, (epoch + 1) * quota, len(places)  # draws since the first
                for turn in range(begin // size, -(-end // size)):
                    drawn = source.order(turn)[max(begin - turn * size, 0) : end - turn * size]
                    positions.append(places[drawn])
                    passes.append(np.full(len(drawn), turn, np.int32))
                times.append((np.arange(quota) + 0.5) / quota)
        merged = np.argsort(np.concatenate(times), kind="stable")
        return np.concatenate(positions)[merged], np.concatenate(passes)[merged]


def quotas(weights: Sequence[float], draws: int) -> np.ndarray:
    """int64 [sources]: draws shared by weight, the remainder to the largest fractions (Hamilton's method)."""
    given = np.asarray(weights, np.float64)
    if draws < 1 or not np.isfinite(given).all() or (given < 0).any() or given.sum() <= 0:
        raise BadSettings(
            f"data.weights={list(weights)} data.draws={draws}: weights are finite, at least 0 and not all 0"
        )
    exact = draws * given / given.sum()
    shares = np.floor(exact).astype(np.int64)
    for k in np.argsort(-(exact - shares), kind="stable")[: draws - int(shares.sum())]:
        shares[k] += 1
    return shares
