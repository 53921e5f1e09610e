"""Whole shards on this disk, as memory maps: those that a plan needs next, and no more than fit."""

import threading
from collections import OrderedDict, defaultdict
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from shards.errors import BadData, BadSettings
from shards.storage import MEGABYTE, File, fetch, is_address

TRIES = 3


def mapped(path: Path) -> np.ndarray:
    """uint8 [size] of a file; a view of its map: slicing a numpy.memmap costs as much as hashing a word."""
    return np.memmap(path, np.uint8, "r").view(np.ndarray) if path.stat().st_size else np.zeros(0, np.uint8)


class Room:
    """The tars of shards. limit: bytes of remote ones that are kept; local ones are read where they are."""

    def __init__(self, shards: list[File], limit: int) -> None:
        self.shards, self.limit = shards, limit
        self.remote = np.array([is_address(file.path) for file in shards], bool)
        self._sizes = np.array([file.bytes for file in shards], np.int64)
        self._maps: OrderedDict[int, np.ndarray] = OrderedDict()
        self._needed: dict[int, int] = {}  # remote shard -> the last step of a plan that reads it
        self._step, self._change = 0, threading.Condition()
        self._locks: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("open Shards in the process that reads: memory maps do not travel")

    def bytes(self, shard: int) -> np.ndarray:
        """uint8 [size]: the tar of a shard."""
        found = self._maps.get(shard)
        return self._load(shard) if found is None else found

    def _load(self, shard: int) -> np.ndarray:
        with self._locks[shard]:  # the one that reads ahead may be at it
            if (found := self._maps.get(shard)) is not None:
                return found
            found = self._fetched(shard) if self.remote[shard] else self._local(shard)
        with self._change:
            self._maps[shard] = found
        return found

    def _local(self, shard: int) -> np.ndarray:
        try:
            return mapped(self.shards[shard].path)
        except OSError as error:  # it was there when the set was opened
            raise BadData(f"{self.shards[shard].path}: {error.strerror}; run ingest.shard again") from None

    def _fetched(self, shard: int) -> np.ndarray:
        """A remote shard's copy, which another process that shares the room may take away at once."""
        with self._change:
            self._clear(int(self._sizes[shard]))
        for _ in range(TRIES):
            fetch([self.shards[shard]])
            with suppress(FileNotFoundError):
                return mapped(self.shards[shard].local)
        raise BadData(
            f"{self.shards[shard].local}: taken away {TRIES} times; does another run share this room?"
        )

    def _clear(self, size: int) -> None:
        """Drops the remote shards that came first, among those no plan needs, until `size` bytes more fit."""
        held = [shard for shard in self._maps if self.remote[shard]]
        size += int(self._sizes[held].sum())
        for shard in held:
            if size <= self.limit:
                return
            if self._needed.get(shard, -1) < self._step:
                self._drop(shard)
                size -= int(self._sizes[shard])

    def _drop(self, shard: int) -> None:
        if self._maps.pop(shard, None) is not None:
            self.shards[shard].local.unlink(missing_ok=True)  # who has mapped it keeps it until then

    def needed(self, shards: np.ndarray, steps: np.ndarray) -> AbstractContextManager[Any]:
        """What reads ahead of a plan that reads of shards [n] at the rising steps [n].

        BadSettings where more is needed at one step than fits.
        """
        remote = self.remote[shards]
        names, at = np.unique(shards[remote], return_index=True)
        first = dict(zip(names.tolist(), steps[remote][at].tolist(), strict=True))
        last = dict(zip(shards[remote].tolist(), steps[remote].tolist(), strict=True))  # later ones win
        order = sorted(first, key=lambda shard: (first[shard], shard))
        events = sorted([(first[s], 0, s) for s in order] + [(last[s], 1, s) for s in order])
        now = most = 0
        for _, leaves, shard in events:
            now += -int(self._sizes[shard]) if leaves else int(self._sizes[shard])
            most = max(most, now)
        if most > self.limit:
            raise BadSettings(
                f"data.room={self.limit // MEGABYTE}: the order of the samples needs "
                f"{-(-most // MEGABYTE)} megabytes of remote shards at once; raise it, or mix fewer shards "
                "at a time: data.window=8"
            )
        return Ahead(self, order, last)

    def begin(self, order: list[int], last: dict[int, int]) -> None:
        """A plan begins: what it needs late gives way to what it needs first, and is fetched again."""
        with self._change:
            self._step, self._needed, size = 0, dict(last), 0
            for shard in order:
                size += int(self._sizes[shard])
                if size > self.limit:
                    self._drop(shard)

    def at(self, step: int) -> None:
        """A plan has come to a step: what it needs no more may go."""
        with self._change:
            self._step = step
            self._change.notify_all()

    def fits(self, shard: int) -> bool:
        """Whether a shard can be fetched beside all that a plan still needs."""
        live = [
            s for s, last in self._needed.items() if last >= self._step and s != shard and s in self._maps
        ]
        return int(self._sizes[live].sum()) + int(self._sizes[shard]) <= self.limit


class Ahead:
    """Fetches a plan's shards in the order of their first use, from a thread, as room gets free."""

    def __init__(self, room: Room, order: list[int], last: dict[int, int]) -> None:
        self._room, self._order, self._stopped = room, order, False
        room.begin(order, last)
        self._thread = threading.Thread(target=self._work, name="fetch", daemon=True)

    def __enter__(self) -> "Ahead":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._room._change:
            self._stopped = True
            self._room._needed = {}
            self._room._change.notify_all()
        self._thread.join()

    def _work(self) -> None:
        for shard in self._order:
            with self._room._change:
                self._room._change.wait_for(lambda shard=shard: self._stopped or self._room.fits(shard))
                if self._stopped:
                    return
            try:
                self._room.bytes(shard)
            except BadData:
                return  # the reader meets it where it stands in the order, and says so
