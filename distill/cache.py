"""The cache of a teacher's answers, addressed by uid and view: reading, verification, copies.

    python -m distill.cache verify caches/words
    python -m distill.cache verify caches/a caches/b json=true
    python -m distill.cache copy caches/words s3://bucket/caches/words

Copies go to and from any place that fsspec reaches, a done mark after what it vouches for. Every stage that
takes cache= takes such an address too: it is fetched once, beside the fetched ones, and checked.
Letters: N samples, T time steps, C classes.
"""

import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from distill import chunks, fetch, fingerprint, soundness
from distill.codecs import Array
from distill.layout import Job, bases_of, file_of, files_of, jobs, kinds_of, read_mark
from distill.lost import Lost, add
from distill.taps import PREFIX, Tap
from shards import config
from shards.errors import BadData, BadSettings
from shards.manifest import ROW_BITS
from shards.progress import Reporter, run

MAPS = 16384  # chunks mapped at a time; a system allows some 65,000 maps to a process
VIEWS, CHUNKS = 12, 32  # bits of a chunk's code: data set, view, number


@dataclass(frozen=True, slots=True)
class Settings:
    """What to do with which caches."""

    dirs: list[str] = field(default_factory=list, metadata={"positional": True})  # cache folders or addresses
    json: bool = False  # print the result as JSON on the last line


@dataclass(frozen=True, slots=True)
class Places:
    """Where answers stand, in the order of their chunks: row within the chunk; where each was asked for;
    the chunks met, by code, and the edges of their stretches.
    """

    rows: np.ndarray
    back: np.ndarray
    codes: list[int]
    edges: list[int]


class Cache:
    """A whole cache, opened for reading: every done mark stands and every chunk file has its size.

    answers: samples times views; lost: of each kind, on all of them; damaged: uid -> what is wrong of
    the samples that could not be read, which have no answer.
    Chunks are mapped when first touched; then their crc32c is checked, once per process.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = fetch.local(path)
        self.card = fingerprint.load(self.path / fingerprint.NAME)
        self.kinds = kinds_of(self.card, bases_of(self.path, self.card))
        data = sorted(self.card.data.items(), key=lambda item: item[1].id)
        self._keys = [key for key, _ in data]
        self._identities = np.array([one.id for _, one in data], np.int64)
        self._chunk_rows, self._rows, self._views = (
            np.array([getattr(one, name) for _, one in data], np.int64)
            for name in ("chunk_rows", "rows", "views")
        )
        self._mapped: OrderedDict[tuple[str, int], np.ndarray] = OrderedDict()
        self._verified: set[tuple[str, int]] = set()
        digest, self.answers = self.card.digest, 0
        self.lost: dict[str, Lost] = {}
        self.damaged: dict[str, str] = {}
        for job in jobs(self.card):
            mark = read_mark(self.path, self.card, digest, job)
            add(self.lost, mark.lost)
            self.answers += mark.rows
            self.damaged |= mark.damaged
            for name, array in files_of(self.card, job):
                chunks.present(self.path / name, array, self.card.data[job.key].chunk_rows)

    def rows(self, uids: np.ndarray, view: np.ndarray | int) -> Tensor:
        """Log-probabilities float32 [N,T,C] of uids int64 [N] in the views [N], or one view for all."""
        return self.read("frames", uids, view)

    def features(self, name: str, uids: np.ndarray, view: np.ndarray | int) -> Tensor:
        """A recorded feature, float32 [N, ...]."""
        self.tap(name)
        return self.read(PREFIX + name, uids, view)

    def tap(self, name: str) -> Tap:
        """How a feature was kept; one that was not is refused."""
        if name not in self.card.taps:
            raise BadSettings(
                f"{self.path}: no feature {name!r} (there are: {', '.join(self.card.taps) or 'none'}); "
                f"record it with taps=[{name}]"
            )
        return self.card.taps[name]

    def read(self, kind: str, uids: np.ndarray, view: np.ndarray | int) -> Any:
        """The answers of one kind; a sample that has none is a BadData that names it."""
        if kind not in self.kinds:
            raise BadSettings(
                f"{self.path}: no {kind} (there are: {', '.join(self.kinds)}); record with kinds=[{kind}]"
            )
        return self.kinds[kind].decode(self.packed(kind, uids, view))

    def packed(self, kind: str, uids: np.ndarray, view: np.ndarray | int) -> dict[str, np.ndarray]:
        """The same as it is stored: {array: [N, ...]}."""
        uids, found = np.asarray(uids, np.int64), self.kinds[kind]
        places = self._places(uids, view)
        out = {array.name: self._gather(array, places) for array in found.arrays}
        first = found.arrays[0]
        if not found.optional and (absent := first.absent(out[first.name])).any():
            uid = int(uids[absent.argmax()])
            raise BadData(f"{self.path}: sample {uid:016x} has no {first.name}; it was not recorded")
        return out

    def _places(self, uids: np.ndarray, view: np.ndarray | int) -> Places:
        sets, rows, views = uids >> ROW_BITS, uids & ((1 << ROW_BITS) - 1), np.broadcast_to(view, len(uids))
        which = self._identities.searchsorted(sets).clip(max=len(self._identities) - 1)
        strange = (self._identities[which] != sets) | (rows >= self._rows[which])
        if strange.any():
            raise BadData(f"{self.path}: sample {int(uids[strange.argmax()]):016x} was not recorded")
        unseen = (views < 0) | (views >= self._views[which])
        if unseen.any():
            last = self._views[which[unseen.argmax()]] - 1
            raise BadData(f"{self.path}: no view {views[unseen.argmax()]} (there are: 0 to {last})")
        numbers, inside = np.divmod(rows, self._chunk_rows[which])
        code = (which << VIEWS | views) << CHUNKS | numbers
        order = code.argsort()
        code = code[order]
        edges = np.flatnonzero(np.diff(code, prepend=-1, append=-1))
        back = np.empty_like(order)
        back[order] = np.arange(len(order))
        return Places(inside[order], back, code[edges[:-1]].tolist(), edges.tolist())

    def _gather(self, array: Array, places: Places) -> np.ndarray:
        """The stored values [N, ...] of an array."""
        met = np.empty((len(places.rows), *array.shape), array.dtype)
        for code, low, high in zip(places.codes, places.edges[:-1], places.edges[1:], strict=True):
            chunk = self._mapped.get((array.name, code))
            if chunk is None:
                chunk = self._chunk(array, code)
            chunk.take(places.rows[low:high], 0, met[low:high], "clip")
        return met.take(places.back, 0)

    def _chunk(self, array: Array, code: int) -> np.ndarray:
        """Maps a chunk; on the first touch its crc32c is checked."""
        number, above = code & (1 << CHUNKS) - 1, code >> CHUNKS
        key, view = self._keys[above >> VIEWS], above & (1 << VIEWS) - 1
        path, name = self.path / file_of(Job(key, view, 0), array, number), (array.name, code)
        found = chunks.open_chunk(path, array, self.card.data[key].chunk_rows, name in self._verified)
        self._verified.add(name)
        self._mapped[name] = found
        if len(self._mapped) > MAPS:
            self._mapped.popitem(last=False)
        return found


def verify(settings: Settings) -> None:
    """Hashes every file of every cache again; faults are told one by one, and end in a BadData."""
    report, found, results = Reporter("distill.cache", settings.json), [], {}
    for folder in settings.dirs:
        try:
            place = fetch.local(folder)
            wrong, results[folder] = soundness.faults(place, fingerprint.load(place / fingerprint.NAME))
            found += wrong
        except BadData as error:  # and the next one is looked at
            found.append(str(error))
    columns = ["cache", "rows", "views", "bytes per view", "KL nats/step", "spoken", "p99"]
    columns += ["readings changed", "digest"]
    keys = ("rows", "views", "bytes_per_view", "kl", "kl_spoken", "p99", "changed", "digest")
    report.table("caches", columns, [(n, *(facts[key] for key in keys)) for n, facts in results.items()])
    if found:
        raise report.failed(BadData("; ".join(found)), faults=found, caches=results)
    report.done(faults=found, caches=results)


def copy(settings: Settings) -> None:
    """Copies a cache, its done marks last."""
    if len(settings.dirs) != 2:
        raise BadSettings("python -m distill.cache copy FROM TO: two folders or addresses are required")
    report = Reporter("distill.cache", settings.json)
    files, size = fetch.copy(*settings.dirs, say=report.line)
    report.done(f"python -m distill.cache verify {settings.dirs[1]}", files=files, bytes=size)


COMMANDS = {"verify": verify, "copy": copy}


def main(argv: list[str]) -> None:
    """Entry."""
    name = argv[0] if argv else ""
    if name not in COMMANDS:
        raise BadSettings(f"python -m distill.cache: no {name!r} (there are: {', '.join(COMMANDS)})")
    settings = config.read(Settings, "cache", argv[1:])
    if not settings.dirs:
        raise BadSettings(f"python -m distill.cache {name} DIR: a cache folder is required")
    COMMANDS[name](settings)


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
