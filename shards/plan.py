"""Contract 3, the order: which samples stand in batch s of epoch e, and which of them rank r of w takes.
Pure.

The order depends on uids, seed, epoch, global batch and window alone, so the same samples meet at the same
step for any number of ranks, and resuming is two integers (epoch, step). Sorting by a keyed hash needs no
generator state. A mixture of data sets is `shards.mixture`. With buckets, a batch holds samples of one
bucket: each bucket is cut into batches in the epoch's order, the last one masked, and the batches come in the
order of their first samples, so a window of shards stays one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from shards import keyed
from shards.errors import BadSettings

PIECE = 1 << 20  # samples hashed at a time, so that what is between takes little memory


@dataclass(frozen=True, slots=True)
class Part:
    """One rank's part of a batch: positions [n] into the samples, passes [n] (how often each sample came
    before), valid [n], and the valid count over all ranks.

    Rows that pad the last batch repeat its samples, so that batch statistics see real pictures; they are not
    valid.
    """

    epoch: int
    step: int
    positions: np.ndarray
    passes: np.ndarray
    valid: np.ndarray
    valid_globally: int

    def split(self, n: int) -> "list[Part]":
        """n micro-batches; sums over them divided by the same count give the same mean."""
        rows = (np.array_split(array, n) for array in (self.positions, self.passes, self.valid))
        return [
            Part(self.epoch, self.step, positions, passes, valid, self.valid_globally)
            for positions, passes, valid in zip(*rows, strict=True)
        ]


def part_of(positions: np.ndarray, size: int) -> Part:
    """Positions as a batch of `size` rows; padding repeats them and is not valid."""
    passes, valid = np.zeros(size, np.int64), np.arange(size) < len(positions)
    return Part(0, 0, np.resize(positions, size), passes, valid, len(positions))


class Plan:
    """Batches over samples with the given uids. shard: the shard number of each sample (only a window needs
    it); bucket: the bucket of each sample, whose batches are its own.

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
        bucket: np.ndarray | None = None,
    ) -> None:
        if global_batch < 1 or (window is not None and window < 1):
            raise BadSettings(f"batch {global_batch} and window {window} must be at least 1")
        self.uids = np.asarray(uids).astype(np.uint64, copy=False)
        self.global_batch, self.seed, self.shuffle, self.window = global_batch, seed, shuffle, window
        self.shard = np.broadcast_to(0, len(self.uids)) if shard is None else np.asarray(shard)
        self.bucket = None if bucket is None else np.asarray(bucket).astype(np.int32)
        self.order = lru_cache(maxsize=2)(self._order)
        self.passes = lru_cache(maxsize=2)(self._passes)
        self.batches = lru_cache(maxsize=2)(self._batches)

    @property
    def length(self) -> int:
        """Samples per epoch."""
        return len(self.uids)

    @property
    def steps(self) -> int:
        """Batches per epoch; the last one of each bucket is masked, never dropped."""
        sizes = [self.length] if self.bucket is None else np.unique(self.bucket, return_counts=True)[1]
        return int(sum(-(-int(size) // self.global_batch) for size in sizes))

    def _passes(self, epoch: int) -> np.ndarray:
        """How often each sample [length] of an epoch's order came before."""
        return np.broadcast_to(np.int64(epoch), self.length)

    def _order(self, epoch: int) -> np.ndarray:
        """All positions int32 [length] in the order of an epoch."""
        if not self.shuffle:
            return np.arange(len(self.uids), dtype=np.int32)
        rank = np.empty(len(self.uids), np.uint64)
        for at in range(0, len(rank), PIECE):
            rank[at : at + PIECE] = keyed.hashed(self.seed, epoch, self.uids[at : at + PIECE])
        if self.window is None:
            return np.argsort(rank, kind="stable").astype(np.int32)
        shards = np.unique(self.shard)
        turn = np.argsort(
            np.argsort(keyed.hashed(self.seed, epoch, keyed.word("shard"), shards), kind="stable")
        )
        mixed = (turn // self.window).astype(np.int32)[np.searchsorted(shards, self.shard)]
        return np.lexsort((rank, mixed)).astype(np.int32)

    def _batches(self, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Places int32 [length] in an epoch's order, batch after batch, and where each begins, with the
        end.
        """
        size = self.global_batch
        if self.bucket is None:
            starts = np.minimum(np.arange(self.steps + 1) * size, self.length)
            return np.arange(self.length, dtype=np.int32), starts
        bucket, cut = self.bucket[self.order(epoch)], []
        for number in np.unique(bucket):
            own = np.flatnonzero(bucket == number).astype(np.int32)
            cut += [own[at : at + size] for at in range(0, len(own), size)]
        cut.sort(key=lambda batch: batch[0])
        return np.concatenate(cut), np.cumsum([0, *map(len, cut)])

    def batch(self, epoch: int, step: int) -> np.ndarray:
        """Positions of the whole batch, at most `global_batch` of them."""
        return self.order(epoch)[self._rows(epoch, step)]

    def _rows(self, epoch: int, step: int) -> np.ndarray:
        places, starts = self.batches(epoch)
        return places[starts[step] : starts[step + 1]]

    def part(self, epoch: int, step: int, rank: int = 0, world: int = 1) -> Part:
        """The share of a rank: a contiguous slice, padded so that every rank has the same number of rows."""
        share = -(-self.global_batch // world)
        whole = self.batch(epoch, step).astype(np.int64)
        passes = self.passes(epoch)[self._rows(epoch, step)].astype(np.int64)
        mine = np.arange(rank * share, (rank + 1) * share)
        valid = mine < len(whole)
        fill = np.cumsum(~valid) - 1  # padding counts through the batch from its beginning
        rows = np.where(valid, mine, fill % len(whole))
        return Part(epoch, step, whole[rows], passes[rows], valid, len(whole))

    def parts(self, epoch: int, step: int = 0, rank: int = 0, world: int = 1) -> Iterator[Part]:
        """The parts of a rank from a step to the end of the epoch."""
        for s in range(step, self.steps):
            yield self.part(epoch, s, rank, world)


def held_out(groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """bool [samples]: a seeded share of the groups, so that no group stands on both sides."""
    return keyed.uniform(keyed.word("held out"), seed, groups) < share
