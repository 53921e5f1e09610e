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

MAPS = 4096  # chunks mapped at a time; a system allows some 65,000 maps to a process


@dataclass(frozen=True, slots=True)
class Settings:
    """What to do with which caches."""

    dirs: list[str] = field(default_factory=list, metadata={"positional": True})  # cache folders or addresses
    json: bool = False  # print the result as JSON on the last line


@dataclass(frozen=True, slots=True)
class Places:
    """Where answers stand: the samples in the order of their chunks, and each chunk's stretch of them."""

    order: np.ndarray
    rows: np.ndarray
    stretches: list[tuple[str, int, int, slice]]  # key, view, chunk, which


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
        self._identities = np.array(sorted(data.id for data in self.card.data.values()), np.int64)
        keys = {data.id: key for key, data in self.card.data.items()}
        self._keys = [keys[identity] for identity in self._identities.tolist()]
        self._mapped: OrderedDict[str, np.ndarray] = OrderedDict()
        self._verified: set[str] = set()
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
        places, found = self._places(np.asarray(uids, np.int64), view), self.kinds[kind]
        out = {array.name: self._gather(array, places) for array in found.arrays}
        first = found.arrays[0]
        if not found.optional and (absent := first.absent(out[first.name])).any():
            uid = int(uids[np.flatnonzero(absent)[0]])
            raise BadData(f"{self.path}: sample {uid:016x} has no {first.name}; it was not recorded")
        return out

    def _places(self, uids: np.ndarray, view: np.ndarray | int) -> Places:
        sets, rows, views = uids >> ROW_BITS, uids & ((1 << ROW_BITS) - 1), np.broadcast_to(view, len(uids))
        which = np.searchsorted(self._identities, sets).clip(max=len(self._identities) - 1)
        data = [self.card.data[key] for key in self._keys]
        limits = np.array([(d.chunk_rows, d.rows, d.views) for d in data], np.int64)[which]
        for wrong in np.flatnonzero((self._identities[which] != sets) | (rows >= limits[:, 1]))[:1]:
            raise BadData(f"{self.path}: sample {int(uids[wrong]):016x} was not recorded")
        for wrong in np.flatnonzero((views < 0) | (views >= limits[:, 2]))[:1]:
            last = limits[wrong, 2] - 1
            raise BadData(f"{self.path}: no view {views[wrong]} (there are: 0 to {last})")
        numbers = rows // limits[:, 0]
        code = ((which << 12 | views) << 32) + numbers
        order = np.argsort(code, kind="stable")
        code = code[order]
        edges = [0, *(np.flatnonzero(code[1:] != code[:-1]) + 1).tolist(), len(code)]
        firsts = order[edges[:-1]]
        met = zip(which[firsts].tolist(), views[firsts].tolist(), numbers[firsts].tolist(), strict=True)
        stretches = [
            (self._keys[k], v, n, slice(*edges[i : i + 2])) for i, (k, v, n) in enumerate(met) if len(code)
        ]
        return Places(order, (rows - numbers * limits[:, 0])[order], stretches)

    def _gather(self, array: Array, places: Places) -> np.ndarray:
        """The stored values [N, ...] of an array."""
        met = np.empty((len(places.order), *array.shape), array.dtype)
        for key, view, number, stretch in places.stretches:
            chunk = self._chunk(key, view, array, number)
            chunk.take(places.rows[stretch], 0, met[stretch], "clip")
        out = np.empty_like(met)
        out[places.order] = met
        return out

    def _chunk(self, key: str, view: int, array: Array, number: int) -> np.ndarray:
        name = file_of(Job(key, view, 0), array, number)
        found = self._mapped.get(name)
        if found is None:
            rows = self.card.data[key].chunk_rows
            found = np.asarray(chunks.open_chunk(self.path / name, array, rows, name in self._verified))
            self._verified.add(name)
            self._mapped[name] = found
            if len(self._mapped) > MAPS:
                self._mapped.popitem(last=False)
        return found


def verify(settings: Settings) -> None:
    """Hashes every file of every cache again; faults are told one by one, and end in a BadData."""
    report, found, results = Reporter("distill.cache", settings.json), [], {}
    for folder in settings.dirs:
        place = fetch.local(folder)
        wrong, results[folder] = soundness.faults(place, fingerprint.load(place / fingerprint.NAME))
        found += wrong
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
