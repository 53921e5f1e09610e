"""Contract 3, the order: which samples stand in batch s of epoch e, and which of them rank r of w takes.
Pure.

The order depends on uids, seed, epoch, global batch and window alone, so the same samples meet at the same
step for any
number of ranks, and resuming is two integers (epoch, step). Sorting by a keyed hash needs no generator state.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from shards import keyed
from shards.errors import BadSettings


@dataclass(frozen=True, slots=True)
class Part:
    """One rank's part of a batch: positions [n] into the samples, valid [n], and the valid count over all
    ranks.

    Rows that pad the last batch repeat its samples, so that batch statistics see real pictures; they are not
    valid.
    """

    epoch: int
    step: int
    positions: np.ndarray
    valid: np.ndarray
    valid_globally: int

    def split(self, n: int) -> "list[Part]":
        """n micro-batches; sums over them divided by the same count give the same mean."""
        pieces = zip(np.array_split(self.positions, n), np.array_split(self.valid, n), strict=True)
        return [Part(self.epoch, self.step, p, v, self.valid_globally) for p, v in pieces]


class Plan:
    """Batches over samples with the given uids. shard: the shard number of each sample (only a window needs
    it).

    window = how many shards are mixed at a time; None = all. shuffle=False keeps the order of the shards.
    """

    def __init__(
        self,
        uids: np.ndarray,
        global_batch: int,
        seed: int = 0,
        shuffle: bool = True,
        window: int | None = None,
        shard: np.ndarray | None = None,
    ) -> None:
        if global_batch < 1 or (window is not None and window < 1):
            raise BadSettings(f"batch {global_batch} and window {window} must be at least 1")
        self.uids = np.asarray(uids).astype(np.uint64)
        self.global_batch, self.seed, self.shuffle, self.window = global_batch, seed, shuffle, window
        self.shard = np.zeros(len(self.uids), np.int64) if shard is None else np.asarray(shard)
        self._order = lru_cache(maxsize=2)(self._order_of)

    @property
    def steps(self) -> int:
        """Batches per epoch; the last one is masked, never dropped."""
        return -(-len(self.uids) // self.global_batch)

    def order(self, epoch: int) -> np.ndarray:
        """All positions [samples] in the order of an epoch."""
        return self._order(epoch)

    def _order_of(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(len(self.uids))
        rank = keyed.hashed(self.seed, epoch, self.uids)
        if self.window is None:
            return np.argsort(rank, kind="stable")
        shards, place = np.unique(self.shard, return_inverse=True)
        turn = np.argsort(
            np.argsort(keyed.hashed(self.seed, epoch, keyed.word("shard"), shards), kind="stable")
        )
        return np.lexsort((rank, turn[place] // self.window))

    def batch(self, epoch: int, step: int) -> np.ndarray:
        """Positions of the whole batch, at most `global_batch` of them."""
        return self.order(epoch)[step * self.global_batch : (step + 1) * self.global_batch]

    def part(self, epoch: int, step: int, rank: int = 0, world: int = 1) -> Part:
        """The share of a rank: a contiguous slice, padded so that every rank has the same number of rows."""
        whole = self.batch(epoch, step)
        share = -(-self.global_batch // world)
        mine = whole[rank * share : (rank + 1) * share]
        positions = np.concatenate([mine, np.resize(whole, share - len(mine))]).astype(np.int64)
        return Part(epoch, step, positions, np.arange(share) < len(mine), len(whole))

    def parts(self, epoch: int, step: int = 0, rank: int = 0, world: int = 1) -> Iterator[Part]:
        """The parts of a rank from a step to the end of the epoch."""
        for s in range(step, self.steps):
            yield self.part(epoch, s, rank, world)


def held_out(groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """bool [samples]: a seeded share of the groups, so that no group stands on both sides."""
    return keyed.uniform(keyed.word("held out"), seed, groups) < share
