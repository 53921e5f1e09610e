"""Whole shards on this disk, held open: those that a plan needs next, and no more than fit.

What a process has fetched into the room it shares with others is locked until it lets go of it or ends, so
that leftovers of runs that ended, or were killed, are told from what is in use.
"""

import threading
from collections import OrderedDict, defaultdict
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from shards.errors import BadData, BadSettings, Stop
from shards.held import Held
from shards.storage import MEGABYTE, PART, File, fetch, is_address, room

TRIES = 3


def kept() -> dict[Path, int]:
    """The fetched shards, and the half-fetched files, of all runs on this disk: their bytes, oldest first."""
    found = []
    for path in room().glob("*/*"):
        if path.suffix == PART or (path.suffix == ".tar" and path.stem.isdigit()):
            with suppress(FileNotFoundError):
                state = path.stat()
                found.append((state.st_mtime_ns, path, state.st_size))
    return {path: size for _, path, size in sorted(found)}


class Room:
    """The tars of shards. limit: bytes of remote ones that are kept; local ones are read where they are."""

    def __init__(self, shards: list[File], limit: int) -> None:
        self.shards, self.limit = shards, limit
        self.remote = np.array([is_address(file.path) for file in shards], bool)
        self._sizes = np.array([file.bytes for file in shards], np.int64)
        self._held: OrderedDict[int, Held] = OrderedDict()
        self._lost: dict[int, str] = {}  # remote shards that could not be fetched, and why
        self._needed: dict[int, int] = {}  # remote shard -> the last step of a plan that reads it
        self._step, self._change = 0, threading.Condition()
        self._locks: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("open Shards in the process that reads: open files do not travel")

    def tar(self, shard: int) -> Held:
        """The tar of a shard. A remote one that is damaged or missing is a BadData, and is not fetched again
        before the next plan begins.
        """
        found = self._held.get(shard)
        return self._load(shard) if found is None else found

    def _load(self, shard: int) -> Held:
        with self._locks[shard]:  # the one that reads ahead may be at it
            if (found := self._held.get(shard)) is not None:
                return found
            found = self._fetched(shard) if self.remote[shard] else self._local(shard)
        with self._change:
            self._held[shard] = found
        return found

    def _local(self, shard: int) -> Held:
        try:
            return Held(self.shards[shard].path)
        except OSError as error:  # it was there when the set was opened
            raise BadData(f"{self.shards[shard].path}: {error.strerror}; run ingest.shard again") from None

    def _fetched(self, shard: int) -> Held:
        """A remote shard's copy, which another process that shares the room may take away at once."""
        if shard in self._lost:
            raise BadData(self._lost[shard])
        with self._change:
            self._clear(shard)
        try:
            return self._copy(self.shards[shard])
        except BadData as error:
            self._lost[shard] = str(error)
            raise

    def _copy(self, file: File) -> Held:
        for _ in range(TRIES):
            fetch([file])
            with suppress(FileNotFoundError):
                return Held(file.local).share()
        raise BadData(f"{file.local}: taken away {TRIES} times; does another run share this room?")

    def _clear(self, shard: int) -> None:
        """Removes copies until a shard fits: what other runs left, the oldest first, then what came first of
        our own that no plan needs, then what others left that ours will need. What is in use stays.
        """
        coming, there = self.shards[shard].local, kept()
        mine = {self.shards[held].local: held for held in self._held if self.remote[held]}
        wanted = {self.shards[s].local for s, last in self._needed.items() if last >= self._step}
        others = [path for path in there if path not in mine and path != coming]
        idle = [path for path in others if path not in wanted] + [path for path in mine if path not in wanted]
        size = sum(there.values()) - there.get(coming, 0) + int(self._sizes[shard])
        for path in [*idle, *(path for path in others if path in wanted)]:
            if size <= self.limit:
                return
            if self._drop(mine[path]) if path in mine else _discarded(path):
                size -= there.get(path, 0)

    def _drop(self, shard: int) -> bool:
        held = self._held.pop(shard, None)
        return held is not None and held.discard()

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
        """A plan begins: what it needs late gives way to what it needs first, and is fetched again; so is
        what was lost.
        """
        with self._change:
            self._step, self._needed, size = 0, dict(last), 0
            self._lost.clear()
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
            s for s, last in self._needed.items() if last >= self._step and s != shard and s in self._held
        ]
        return int(self._sizes[live].sum()) + int(self._sizes[shard]) <= self.limit


def _discarded(path: Path) -> bool:
    try:
        return Held(path).discard()
    except OSError:  # another process was faster
        return not path.exists()


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
            with suppress(Stop):  # the reader meets it where it stands in the order, and says so
                self._room.tar(shard)
