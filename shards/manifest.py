"""Contract 2, the names: which data set, which shard, which row; the manifest that is written last.

uid = dataset_id << 40 | row, with dataset_id = the first 22 bits of sha256(name, split, options). A uid names
a sample for ever: it seeds augmentation, addresses the cache and appears in every error.

Sidecars and manifests are sealed (`shards.written`).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from shards import storage
from shards.errors import BadData
from shards.written import Damaged, canonical, digest, seal, unsealed

FORMAT = 1
ROW_BITS = 40
ID_BITS = 22
ROWS_PER_SHARD = 8192
LEDGER = "rejects.jsonl"  # all rejects of a split, one JSON object a line


class Rejected(NamedTuple):
    """A row of the listing that did not become a sample: a short reason, where it was found, what exactly."""

    row: int
    reason: str
    origin: str
    detail: str = ""


def dataset_id(name: str, split: str, options: dict[str, object]) -> int:
    """22 bits that name (name, split, options); paths, workers and executors never enter."""
    first = hashlib.sha256(canonical([name, split, options])).digest()[:4]
    return int.from_bytes(first, "big") >> (32 - ID_BITS)


def uid_of(dataset: int, row: int) -> int:
    """The uid of a row of the source listing; fits in a signed 64-bit integer."""
    if not 0 <= dataset < 1 << ID_BITS or not 0 <= row < 1 << ROW_BITS:
        raise BadData(f"no uid for data set {dataset}, row {row}")
    return dataset << ROW_BITS | row


def split_uid(uid: int) -> tuple[int, int]:
    """(dataset_id, row) of a uid."""
    return int(uid) >> ROW_BITS, int(uid) & ((1 << ROW_BITS) - 1)


@dataclass(frozen=True, slots=True)
class ShardInfo:
    """The sidecar of a shard: rows [first, stop) of the listing, what was written and what was rejected.

    bytes and sha256 are keyed by suffix: tar, columns.npy, labels, idx. A manifest's own shards leave the
    rejects to the sidecars and the ledger, since they may be many.
    """

    stem: str
    first: int
    stop: int
    written: int
    bytes: dict[str, int]
    sha256: dict[str, str]
    rejects: tuple[Rejected, ...] = ()
    format: int = FORMAT

    @property
    def rows(self) -> int:
        """How many rows of the listing it covers, rejects included."""
        return self.stop - self.first

    @property
    def slim(self) -> "ShardInfo":
        """The same without the list of its rejects."""
        return replace(self, rejects=())


@dataclass(frozen=True)
class Manifest:
    """One split of one data set; written last, so its presence means the folder is whole."""

    name: str
    split: str
    source: str
    licence: str
    options: dict[str, object]
    rows: int
    rows_per_shard: int
    shards: tuple[ShardInfo, ...]
    rejected: dict[str, int] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def dataset_id(self) -> int:
        """The 22 bits that all uids of this split begin with."""
        return dataset_id(self.name, self.split, self.options)

    @property
    def key(self) -> str:
        """A name for it among others, fit for a folder: readable and unique."""
        readable = "".join(c if c.isalnum() or c in "-_" else "-" for c in self.name.lower())
        return f"{readable}-{self.split}-{self.dataset_id:06x}"

    @property
    def written(self) -> int:
        """Samples in the tars; rows = written + rejects."""
        return sum(shard.written for shard in self.shards)

    @cached_property
    def digest(self) -> str:
        """sha256 over identity and the hashes of every shard: changes when any byte of the data does."""
        return digest([self.name, self.split, self.options, self.rows, [s.sha256 for s in self.shards]])


def shard_info(path: Path) -> ShardInfo:
    """Reads a sidecar."""
    return _shard(unsealed(path, FORMAT), path)


def _shard(raw: dict, path: Path) -> ShardInfo:
    try:
        rejects = tuple(Rejected(*r) for r in raw.pop("rejects", ()))
        return ShardInfo(rejects=rejects, **raw)
    except (TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"{path}: not a shard's sidecar ({error})") from None


def save(folder: Path, manifest: Manifest) -> None:
    """Writes the ledger, gathered from the sidecars, then manifest.json: the folder's done mark."""
    counts = write_ledger(folder, listed(folder, manifest.shards))
    if sum(counts.values()) != manifest.rows - manifest.written:
        raise BadData(f"{folder}: the sidecars of its shards are not those that were written; run it again")
    slim = tuple(info.slim for info in manifest.shards)
    whole = replace(manifest, shards=slim, rejected=dict(sorted(counts.items())))
    seal(folder / "manifest.json", asdict(whole))


def listed(folder: Path, shards: Iterable[ShardInfo]) -> Iterator[Rejected]:
    """The rejects of shards, one sidecar at a time."""
    for info in shards:
        if info.written < info.rows:
            yield from shard_info(folder / f"{info.stem}.json").rejects


def write_ledger(folder: Path, rejects: Iterable[Rejected]) -> Counter[str]:
    """Writes rejects.jsonl, a line for each reject; returns their number by reason."""
    counts: Counter[str] = Counter()
    with storage.desk(folder, "rejects") as desk:
        with open(desk / LEDGER, "wb") as file:
            for reject in rejects:
                counts[reject.reason] += 1
                file.write(_line(reject))
        storage.publish(desk / LEDGER, folder / LEDGER)
    return counts


def _line(reject: Rejected) -> bytes:
    return canonical(reject._asdict()) + b"\n"


def ledger_sha256(folder: Path, shards: Iterable[ShardInfo]) -> str:
    """That of the ledger which the sidecars of shards make."""
    found = hashlib.sha256()
    for reject in listed(folder, shards):
        found.update(_line(reject))
    return found.hexdigest()


def ledger(folder: Path) -> Iterator[Rejected]:
    """The rejects of a finished split, in the order of their rows; a damaged ledger is a BadData."""
    try:
        with (folder / LEDGER).open("rb") as file:
            for line in file:
                yield Rejected(**json.loads(line))
    except (OSError, ValueError, TypeError) as error:
        raise BadData(f"{folder / LEDGER}: not a ledger ({error}); run ingest.shard again") from None


def load(folder: Path) -> Manifest:
    """The manifest of a finished split folder; checks its seal and that the counts reconcile."""
    path = folder / "manifest.json"
    if not path.exists():
        raise BadData(
            f"{folder}: no manifest.json, so no finished shards; run python -m ingest.shard out=... first"
        )
    raw = unsealed(path, FORMAT)
    try:
        shards = tuple(_shard(s, path).slim for s in raw.pop("shards"))
        manifest = Manifest(shards=shards, **raw)
    except (TypeError, KeyError) as error:
        raise Damaged(f"{path}: not a manifest ({error})") from None
    rejects = sum(manifest.rejected.values())
    if manifest.rows != manifest.written + rejects:
        raise Damaged(f"{path}: {manifest.rows} rows, but {manifest.written} written + {rejects} rejected")
    return manifest
