"""The cache of a teacher's answers, addressed by uid and view: layout, reading, verification.

    python -m distill.cache verify caches/words
    python -m distill.cache verify caches/words json=true
    python -m distill.cache verify caches/a caches/b

card.json (see distill.fingerprint); <data set>/view<k>/<array>/ are zarr v3 arrays addressed by row of the
source listing; done/<data set>/view<k>/<shard>.json is written last, with the sha256 of the chunks and
their mean KL.
Letters: N samples, L time steps, C classes.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill import chunks, fingerprint
from distill.codec import Array
from distill.fingerprint import Card, Data
from shards import config
from shards.errors import BadData, BadSettings
from shards.manifest import ROW_BITS, read_json
from shards.pack import sha256_of, stem_of
from shards.progress import Reporter, run

TAP = "feature."  # prefix of the arrays that hold features
MARK = 2  # format of done marks
MAPS = 4096  # chunks mapped at a time; a system allows some 65,000 maps to a process


@dataclass(frozen=True, slots=True)
class Settings:
    """What to verify."""

    dirs: list[str] = field(default_factory=list, metadata={"positional": True})  # cache folders
    json: bool = False  # print the result as JSON on the last line


@dataclass(frozen=True, slots=True)
class Job:
    """The unit of writing and of done marks: one shard of one data set in one view."""

    key: str
    view: int
    shard: int

    @property
    def mark(self) -> str:
        """Its done mark, relative to the cache."""
        return f"done/{self.key}/view{self.view}/{stem_of(self.shard)}.json"


def arrays_of(card: Card) -> tuple[Array, ...]:
    """Every array of a view: the codec's, then the taps in fp16."""
    taps = (Array(TAP + name, "<f2", tuple(shape), float("nan")) for name, shape in sorted(card.taps.items()))
    return (*card.make_codec().arrays, *taps)


def bytes_per_view(card: Card) -> int:
    """Bytes per sample and view."""
    return sum(array.bytes for array in arrays_of(card))


def jobs(card: Card) -> list[Job]:
    """All jobs, view by view."""
    return [
        Job(key, view, shard)
        for view in range(card.views)
        for key, data in card.data.items()
        for shard in range(-(-data.rows // data.rows_per_shard))
    ]


def chunks_of(data: Data, shard: int) -> range:
    """The numbers of the chunks of a shard."""
    first, stop = shard * data.rows_per_shard, min((shard + 1) * data.rows_per_shard, data.rows)
    return range(first // data.chunk_rows, -(-stop // data.chunk_rows))


def file_of(job: Job, array: Array, chunk: int) -> str:
    """A chunk file, relative to the cache."""
    return f"{job.key}/view{job.view}/{array.name}/{chunks.chunk_path(array, chunk)}"


def files_of(card: Card, job: Job) -> Iterator[tuple[str, Array]]:
    """All chunk files of a job."""
    for array in arrays_of(card):
        for chunk in chunks_of(card.data[job.key], job.shard):
            yield file_of(job, array, chunk), array


def read_mark(root: Path, card: Card, digest: str, job: Job) -> dict[str, Any]:
    """A done mark: {card, rows, kl, damaged, sha256: {file: hex}}; that of another card or other files is
    refused.
    """
    path = root / job.mark
    if not path.exists():
        raise BadData(f"{path}: missing, so the cache is not whole; run distill/record.py again")
    mark = read_json(path)
    files = {name for name, _ in files_of(card, job)}
    if mark.get("format") != MARK:
        raise BadData(f"{path}: format {mark.get('format')!r}, this version reads {MARK}; record anew")
    if mark.get("card") != digest or set(mark.get("sha256", ())) != files:
        raise BadData(f"{path}: belongs to another card; run distill/record.py again")
    return mark


class Cache:
    """A whole cache, opened for reading: every done mark stands and every chunk file has its size.

    answers: samples times views; kl: nats per step that the codec lost on average; damaged: uid -> what is
    wrong of the samples that could not be read, which have no answer.
    Chunks are mapped when first touched; then their crc32c is checked, once per process.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.card = fingerprint.load(self.path / fingerprint.NAME)
        self.codec, self.arrays = self.card.make_codec(), {a.name: a for a in arrays_of(self.card)}
        self._sets = {data.id: key for key, data in self.card.data.items()}
        self._verified: set[str] = set()
        self._chunk = lru_cache(maxsize=MAPS)(self._open_chunk)
        digest, lost, self.answers = self.card.digest, 0.0, 0
        self.damaged: dict[str, str] = {}
        for job in jobs(self.card):
            mark = read_mark(self.path, self.card, digest, job)
            lost, self.answers = lost + mark["kl"] * mark["rows"], self.answers + mark["rows"]
            self.damaged |= mark["damaged"]
            for name, array in files_of(self.card, job):
                chunks.present(self.path / name, array, self.card.data[job.key].chunk_rows)
        self.kl = lost / max(self.answers, 1)

    def rows(self, uids: np.ndarray, view: np.ndarray | int) -> Tensor:
        """Log-probabilities float32 [N,L,C] of uids int64 [N] in the views [N], or one view for all."""
        return self.codec.decode({a.name: self._gather(a, uids, view) for a in self.codec.arrays})

    def features(self, name: str, uids: np.ndarray, view: np.ndarray | int) -> Tensor:
        """A recorded feature, float32 [N, ...]."""
        if name not in self.card.taps:
            raise BadSettings(
                f"{self.path}: no feature {name!r} (there are: {', '.join(self.card.taps) or 'none'}); "
                f"record it with taps=[{name}]"
            )
        return torch.from_numpy(self._gather(self.arrays[TAP + name], uids, view).astype(np.float32))

    def _gather(self, array: Array, uids: np.ndarray, view: np.ndarray | int) -> np.ndarray:
        """The stored values [N, ...] of an array; an absent sample is a BadData that names it."""
        uids, views = np.asarray(uids, np.int64), np.broadcast_to(view, len(uids))
        for wrong in views[(views < 0) | (views >= self.card.views)]:
            raise BadData(f"{self.path}: no view {wrong} (there are: 0 to {self.card.views - 1})")
        out = chunks.empty(array, len(uids))
        sets, rows = uids >> ROW_BITS, uids & ((1 << ROW_BITS) - 1)
        for identity in np.unique(sets):
            key = self._sets.get(int(identity))
            within = np.flatnonzero(sets == identity)
            if key is None or rows[within].max() >= self.card.data[key].rows:
                raise BadData(f"{self.path}: sample {int(uids[within[0]]):016x} was not recorded")
            size = self.card.data[key].chunk_rows
            places = np.stack([views[within], rows[within] // size], -1)
            chunks_met, turn = np.unique(places, axis=0, return_inverse=True)
            for place, (seen, number) in enumerate(chunks_met.tolist()):
                mine = within[turn == place]
                out[mine] = self._chunk(key, seen, array, number)[rows[mine] % size]
        if array.dtype == "<f2":
            self._refuse_absent(array, out, uids)
        return out

    def _refuse_absent(self, array: Array, values: np.ndarray, uids: np.ndarray) -> None:
        absent = np.isnan(values.reshape(len(uids), -1)).any(1)
        if absent.any():
            uid = int(uids[np.flatnonzero(absent)[0]])
            raise BadData(f"{self.path}: sample {uid:016x} has no {array.name}; it was not recorded")

    def _open_chunk(self, key: str, view: int, array: Array, number: int) -> np.ndarray:
        name, rows = file_of(Job(key, view, 0), array, number), self.card.data[key].chunk_rows
        opened = chunks.open_chunk(self.path / name, array, rows, name in self._verified)
        self._verified.add(name)
        return opened


def faults(root: Path, card: Card) -> tuple[list[str], dict[str, Any]]:
    """Every fault of a cache, one sentence each, and what it holds: rows of a view, views, bytes, mean KL."""
    found, rows, total, digest = [], 0, 0.0, card.digest
    for job in jobs(card):
        try:
            mark = read_mark(root, card, digest, job)
        except BadData as error:
            found.append(str(error))
            continue
        rows, total = rows + mark["rows"], total + mark["kl"] * mark["rows"]
        for name, expected in mark["sha256"].items():
            path = root / name
            if not path.exists():
                found.append(f"{path}: chunk is missing")
            elif sha256_of(path) != expected:
                found.append(f"{path}: sha256 differs from its done mark")
    facts = {"rows": rows // card.views, "views": card.views, "bytes_per_view": bytes_per_view(card)}
    return found, {**facts, "kl": total / max(rows, 1), "digest": digest}


def documents(card: Card) -> dict[str, bytes]:
    """Every zarr.json of a cache: path -> content."""
    out = {}
    for key, data in card.data.items():
        out[f"{key}/zarr.json"] = chunks.group_document()
        for view in range(card.views):
            out[f"{key}/view{view}/zarr.json"] = chunks.group_document()
            for array in arrays_of(card):
                document = chunks.array_document(array, data.rows, data.chunk_rows)
                out[f"{key}/view{view}/{array.name}/zarr.json"] = document
    return out


def main(argv: list[str]) -> None:
    """Entry."""
    if argv[:1] != ["verify"]:
        raise BadSettings(f"python -m distill.cache: no {' '.join(argv[:1])!r} (there are: verify)")
    settings = config.read(Settings, "cache", argv[1:])
    if not settings.dirs:
        raise BadSettings("python -m distill.cache verify DIR: a cache folder is required")
    report, found, results = Reporter("distill.cache", settings.json), [], {}
    for folder in settings.dirs:
        card = fingerprint.load(Path(folder) / fingerprint.NAME)
        wrong, results[folder] = faults(Path(folder), card)
        found += wrong
    columns = ["cache", "rows", "views", "bytes per view", "KL nats/step", "digest"]
    report.table("caches", columns, [(name, *facts.values()) for name, facts in results.items()])
    if found:
        raise report.failed(BadData("; ".join(found)), faults=found, caches=results)
    report.done(faults=found, caches=results)


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
