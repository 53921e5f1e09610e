"""Where things stand in a cache: jobs, arrays, chunk files, done marks, zarr documents.

card.json (distill.fingerprint); <data set>/view<k>/<array>/ are zarr v3 arrays addressed by row of the
source listing; done/<data set>/view<k>/<shard>.json is written last, with the sha256 of the chunks and what
the codec lost in each of them (distill.lost).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from distill import chunks
from distill.codecs import Array
from distill.fingerprint import Card, Data
from distill.kinds import Cells, Frames, Kind, NBest, Occupancy, Trust
from distill.lost import Lost, add
from distill.taps import Feature
from shards import written
from shards.errors import BadData
from shards.pack import stem_of
from shards.written import read_json

MARK = 3  # format of done marks
BASES = "bases.safetensors"  # directions of the taps that are kept by pca


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


def kinds_of(card: Card, bases: dict[str, np.ndarray] | None = None) -> dict[str, Kind]:
    """Every kind of answer that a cache holds, by name. bases: of the taps kept by pca, where read."""
    found: dict[str, Kind] = {}
    if "frames" in card.kinds:
        found["frames"] = Frames(card.make_codec())
    if "cells" in card.kinds:
        found["cells"] = Cells(card.make_codec())
    if "occupancy" in card.kinds:
        found["occupancy"] = Occupancy(card.make_codec())
    if "nbest" in card.kinds:
        found["nbest"] = NBest(card.nbest.count, card.frames, card.classes)
    if "trust" in card.kinds:
        found["trust"] = Trust()
    for name, tap in sorted(card.taps.items()):
        feature = Feature(name, tap, (bases or {}).get(name))
        found[feature.name] = feature
    return found


def bases_of(root: Path, card: Card) -> dict[str, np.ndarray]:
    """The directions of the taps that are kept by pca."""
    if not any(tap.basis for tap in card.taps.values()):
        return {}
    path = root / BASES
    if not path.exists():
        raise BadData(f"{path}: missing; record anew")
    try:
        found = safetensors.numpy.load(path.read_bytes())
    except (SafetensorError, ValueError, KeyError) as error:
        raise BadData(f"{path}: damaged ({error}); record anew") from None
    for name, tap in card.taps.items():
        if tap.basis and (name not in found or chunks.digest(found[name]) != tap.basis):
            raise BadData(f"{path}: not the directions of the card ({name}); record anew")
    return found


def arrays_of(card: Card) -> tuple[Array, ...]:
    """Every array of a view."""
    return tuple(array for kind in kinds_of(card).values() for array in kind.arrays)


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
        if view < data.views
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


@dataclass(frozen=True, slots=True)
class Mark:
    """A done mark: rows written; what was lost of each kind in each chunk; uid -> what is wrong with samples
    without an answer; chunk file -> sha256.
    """

    rows: int
    chunks: dict[str, dict[str, Lost]]
    damaged: dict[str, str]
    sha256: dict[str, str]

    @property
    def lost(self) -> dict[str, Lost]:
        """Of each kind, over all its chunks."""
        total: dict[str, Lost] = {}
        for one in self.chunks.values():
            add(total, one)
        return total

    def told(self, digest: str) -> dict[str, Any]:
        """As a file holds it, with the digest of all that. digest: of the card."""
        told = {
            "format": MARK, "card": digest, "rows": self.rows,
            "chunks": {n: {k: one.told() for k, one in lost.items()} for n, lost in self.chunks.items()},
            "damaged": self.damaged, "sha256": self.sha256,
        }  # fmt: skip
        return {**told, "digest": written.digest(told)}


def read_mark(root: Path, card: Card, digest: str, job: Job) -> Mark:
    """A done mark; that of another card or other files is refused."""
    path = root / job.mark
    if not path.exists():
        raise BadData(f"{path}: missing, so the cache is not whole; run distill/record.py again")
    raw = read_json(path)
    files = {name for name, _ in files_of(card, job)}
    if raw.get("format") != MARK:
        raise BadData(f"{path}: format {raw.get('format')!r}, this version reads {MARK}; record anew")
    if raw.pop("digest", None) != written.digest(raw):
        raise BadData(f"{path}: damaged, its content is not that of its digest; run distill/record.py again")
    if raw.get("card") != digest or set(raw.get("sha256", ())) != files:
        raise BadData(f"{path}: belongs to another card; run distill/record.py again")
    try:
        found = {n: {kind: Lost(**one) for kind, one in lost.items()} for n, lost in raw["chunks"].items()}
        return Mark(raw["rows"], found, raw["damaged"], raw["sha256"])
    except (KeyError, TypeError, AttributeError) as error:
        raise BadData(f"{path}: not a done mark ({error}); run distill/record.py again") from None


def documents(card: Card) -> dict[str, bytes]:
    """Every zarr.json of a cache: path -> content."""
    out = {}
    for key, data in card.data.items():
        out[f"{key}/zarr.json"] = chunks.group_document()
        for view in range(data.views):
            out[f"{key}/view{view}/zarr.json"] = chunks.group_document()
            for array in arrays_of(card):
                document = chunks.array_document(array, data.rows, data.chunk_rows)
                out[f"{key}/view{view}/{array.name}/zarr.json"] = document
    return out
