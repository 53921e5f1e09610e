"""Contract 2, the names: which data set, which shard, which row; the manifest that is written last.

uid = dataset_id << 40 | row, with dataset_id = the first 22 bits of sha256(name, split, options). A uid names
a sample for ever: it seeds augmentation, addresses the cache and appears in every error.

Sidecars and manifests are sealed: `seal` is the digest of all that stands beside it, and the file's bytes are
those that its content is written as, so no bit of them changes unnoticed. Those of earlier versions, without
a seal, are read as they are.
"""

import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path

from shards import storage
from shards.errors import BadData

FORMAT = 1
ROW_BITS = 40
ID_BITS = 22
ROWS_PER_SHARD = 8192
SEAL = "seal"
LEDGER = "rejects.jsonl"  # all rejects of a split, one JSON object a line


class Damaged(BadData):
    """A sidecar or manifest that is not what was written; `ingest.shard` writes it again."""


def canonical(value: object) -> bytes:
    """JSON bytes that are equal for equal values: sorted keys, no spaces, utf-8."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def digest(value: object) -> str:
    """sha256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


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

    bytes and sha256 are keyed by suffix: tar, columns.npy, labels, idx. rejects: (row, reason, origin,
    detail).
    """

    stem: str
    first: int
    stop: int
    written: int
    bytes: dict[str, int]
    sha256: dict[str, str]
    rejects: tuple[tuple[int, str, str, str], ...] = ()
    format: int = FORMAT

    @property
    def rows(self) -> int:
        """How many rows of the listing it covers, rejects included."""
        return self.stop - self.first


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

    @property
    def rejects(self) -> list[tuple[int, str, str, str]]:
        """Those of all shards: (row, reason, origin, detail)."""
        return [reject for shard in self.shards for reject in shard.rejects]

    @cached_property
    def digest(self) -> str:
        """sha256 over identity and the hashes of every shard: changes when any byte of the data does."""
        return digest([self.name, self.split, self.options, self.rows, [s.sha256 for s in self.shards]])


def write_json(path: Path, value: object) -> None:
    """Writes sorted, indented JSON by a temporary name and a rename: never half a file."""
    write_bytes(path, _text(value))


def _text(value: object) -> bytes:
    return (json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1) + "\n").encode()


def seal(path: Path, value: dict[str, object]) -> None:
    """Writes a JSON object and its seal."""
    write_json(path, _sealed(value))


def _sealed(value: dict[str, object]) -> dict[str, object]:
    return {**value, SEAL: digest(value)}


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file by a temporary name, fsync and a rename; to an address, as one object."""
    if storage.is_address(path):
        path.write_bytes(data)  # an object appears whole
        return
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


def read_json(path: Path) -> dict:
    """The JSON object in a file; absent or damaged is a BadData that names the file."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Damaged(f"{path}: no such file") from None
    except (ValueError, OSError, RecursionError) as error:
        raise Damaged(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(value, dict):
        raise Damaged(f"{path}: expected a JSON object")
    return value


def _unsealed(path: Path) -> dict:
    """The content of a sealed file, without the seal."""
    raw = read_json(path)
    content = {key: value for key, value in raw.items() if key != SEAL}
    if SEAL in raw and not _written_as(path, content):
        raise Damaged(f"{path}: changed after it was written; run ingest.shard again with the same settings")
    if content.get("format") != FORMAT:
        error = BadData if SEAL in raw else Damaged  # a seal says that it was meant
        raise error(f"{path}: format {content.get('format')}, this version reads {FORMAT}")
    return content


def _written_as(path: Path, content: dict) -> bool:
    try:
        return path.read_bytes() == _text(_sealed(content))
    except ValueError:  # half a surrogate pair, which no text that is written holds
        return False


def shard_info(path: Path) -> ShardInfo:
    """Reads a sidecar."""
    return _shard(_unsealed(path), path)


def _shard(raw: dict, path: Path) -> ShardInfo:
    try:
        rejects = tuple(tuple(r) for r in raw.pop("rejects", ()))
        return ShardInfo(rejects=rejects, **raw)
    except (TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"{path}: not a shard's sidecar ({error})") from None


def ledger(rejects: Iterable[tuple[int, str, str, str]]) -> bytes:
    """The lines of rejects.jsonl."""
    names = ("row", "reason", "origin", "detail")
    return b"".join(canonical(dict(zip(names, reject, strict=True))) + b"\n" for reject in rejects)


def save(folder: Path, manifest: Manifest) -> None:
    """Writes rejects.jsonl, then manifest.json: the folder's done mark."""
    write_bytes(folder / LEDGER, ledger(manifest.rejects))
    seal(folder / "manifest.json", asdict(manifest))


def load(folder: Path) -> Manifest:
    """The manifest of a finished split folder; checks its seal and that the counts reconcile."""
    path = folder / "manifest.json"
    if not path.exists():
        raise BadData(
            f"{folder}: no manifest.json, so no finished shards; run python -m ingest.shard out=... first"
        )
    raw = _unsealed(path)
    try:
        shards = tuple(_shard(s, path) for s in raw.pop("shards"))
        manifest = Manifest(shards=shards, **raw)
    except (TypeError, KeyError) as error:
        raise Damaged(f"{path}: not a manifest ({error})") from None
    if manifest.rows != manifest.written + len(manifest.rejects):
        raise Damaged(
            f"{path}: {manifest.rows} rows, but {manifest.written} written + {len(manifest.rejects)} rejected"
        )
    return manifest
