"""Reading: shards of one or several data sets as one addressable set; uid or position -> bytes.

Every read is checked against the sha256 in the columns; a damaged sample is a BadData that names it, for it
alone. Open it in the process that reads (open files do not travel).
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from shards import columns, manifest, storage, written
from shards.errors import BadData
from shards.image import ImageSpec
from shards.manifest import Manifest
from shards.pack import FILES, SUFFIX_COLUMNS, SUFFIX_LABELS, SUFFIX_TAR, sha256_of
from shards.room import Room
from shards.sample import Record, record_from_json

ORDER = ("train", "val", "test")
FETCHED = 20_000  # megabytes of remote shards on this disk, unless said otherwise


@dataclass(frozen=True, slots=True)
class _Open:
    """One shard: its tar, and what was read of it."""

    path: Path
    file: Path  # of the columns, on this disk
    columns: columns.Rows
    labels: bytes


class Shards:
    """All samples of one split of the given roots, in the order of the roots, then those of `unlabelled`
    roots, whose labels nobody sees. Positions run from 0 to len - 1. Roots are folders or addresses; fetched:
    megabytes of remote shards that are kept on this disk.
    """

    def __init__(
        self,
        roots: Sequence[str | Path],
        split: str,
        unlabelled: Sequence[str | Path] = (),
        fetched: int = FETCHED,
    ) -> None:
        if not roots:
            raise BadData("data.root= is required: the out= folder of python -m ingest.shard")
        self.split = split
        self.folders = [_split_folder(storage.place(root), split) for root in [*roots, *unlabelled]]
        self.manifests: list[Manifest] = [manifest.load(folder) for folder in self.folders]
        _distinct(self.folders, self.manifests)
        files = [
            _files(folder, info)
            for folder, content in zip(self.folders, self.manifests, strict=True)
            for info in content.shards
        ]
        storage.fetch([found[suffix] for found in files for suffix in (SUFFIX_COLUMNS, SUFFIX_LABELS)])
        self.room = Room([found[SUFFIX_TAR] for found in files], fetched * storage.MEGABYTE)
        self._open: list[_Open] = [_open(found) for found in files]
        sizes = [info.written for content in self.manifests for info in content.shards]
        self._starts: list[int] = [0, *np.cumsum(sizes, dtype=np.int64).tolist()]
        self.shard_of = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        self.uids = self.column("row")
        for content, end in zip(self.manifests, np.cumsum([m.written for m in self.manifests]), strict=True):
            self.uids[end - content.written : end] |= np.uint64(content.dataset_id << manifest.ROW_BITS)
        self._labelled_shards = sum(len(content.shards) for content in self.manifests[: len(roots)])
        if not len(self.uids):
            raise BadData(f"{self.folders[0]}: no samples in split {split!r}")

    def __len__(self) -> int:
        return len(self.uids)

    @property
    def digest(self) -> str:
        """One hash over all manifests."""
        return written.digest([m.digest for m in self.manifests])

    @property
    def root_of(self) -> np.ndarray:
        """int64 [samples]: which of the roots, from 0, a sample belongs to."""
        return np.repeat(np.arange(len(self.manifests)), [content.written for content in self.manifests])

    def column(self, name: str) -> np.ndarray:
        """One column of all samples, concatenated."""
        kind, shape = columns.DTYPE[name].base, columns.DTYPE[name].shape
        out = np.empty((self._starts[-1], *shape), kind)
        for opened, start, stop in zip(self._open, self._starts, self._starts[1:], strict=False):
            out[start:stop] = columns.load(opened.file)[name]
        return out

    def _row(self, position: int) -> tuple[int, columns.Row]:
        """The shard of a sample, and its row there."""
        shard = int(self.shard_of[position])
        return shard, self._open[shard].columns[position - self._starts[shard]]

    def spans(self, image: ImageSpec) -> np.ndarray:
        """int64 [samples]: how many columns of its canvas each picture takes, where the spec has buckets."""
        if not image.buckets:
            return np.broadcast_to(np.int64(image.width), len(self))
        return image.spans(self.column("width"), self.column("height"))

    def scenes(self) -> bool:
        """Whether these are photographs in which words stand somewhere, not crops of one word each."""
        several = (self.column("words") != 1).any()
        return bool(several) or any(w.polygon is not None for _, one in self.firsts() for w in one.words)

    def firsts(self) -> list[tuple[Path, Record]]:
        """Each folder that has a readable record, and the first of them."""
        found, end = [], 0
        for folder, content in zip(self.folders, self.manifests, strict=True):
            end += content.written
            for position in range(end - content.written, end):
                with suppress(BadData):
                    found.append((folder, self.record(position)))
                    break
        return found

    def text(self, position: int) -> str | None:
        """The label as stored, without touching the tar."""
        shard, row = self._row(position)
        if self._hidden(position):
            return None
        return columns.label(self._open[shard].labels, row)

    def texts(self) -> Iterator[str | None]:
        """All labels in the order of the positions; those of a scene's words are joined by newlines."""
        for number, opened in enumerate(self._open):
            rows = columns.load(opened.file)
            starts, sizes = (rows[name].tolist() for name in ("label_offset", "label_size"))
            for start, size in zip(starts, sizes, strict=True):
                known = size >= 0 and number < self._labelled_shards
                yield opened.labels[start : start + size].decode() if known else None

    def image(self, position: int) -> bytes:
        """The encoded image."""
        shard, row = self._row(position)
        return self._checked(shard, position, "image", row.image_offset, row.image_size, row.image_sha256)

    def sha256(self, position: int) -> str:
        """sha256 of the encoded image, in hex, as the columns have it."""
        return self._row(position)[1].image_sha256.hex()

    def record(self, position: int) -> Record:
        """The record."""
        shard, row = self._row(position)
        found = record_from_json(
            self._checked(shard, position, "json", row.json_offset, row.json_size, row.json_sha256)
        )
        if not self._hidden(position):
            return found
        return replace(found, words=tuple(replace(word, text=None) for word in found.words))

    def _hidden(self, position: int) -> bool:
        """Whether a sample's label is not to be seen."""
        return int(self.shard_of[position]) >= self._labelled_shards

    def _checked(self, shard: int, position: int, part: str, start: int, size: int, sha256: bytes) -> bytes:
        """Bytes of a shard's tar: a part of a sample."""
        try:
            data = self.room.tar(shard).read(start, size)
        except OSError as error:
            raise BadData(f"{self._open[shard].path}: {error.strerror}; run ingest.shard again") from None
        if hashlib.sha256(data).digest() != sha256:
            raise BadData(
                f"{self._open[shard].path}: {part} of sample {int(self.uids[position]):016x} is damaged"
            )
        return data

    def position(self, uid: int) -> int:
        """The position of a uid; an unknown one is a BadData."""
        found = np.flatnonzero(self.uids == np.uint64(uid))
        if not len(found):
            raise BadData(f"no sample {uid:016x} in {', '.join(map(str, self.folders))}")
        return int(found[0])


def _split_folder(root: Path, split: str) -> Path:
    if not root.is_dir():
        raise BadData(f"{root}: no such folder; data.root= takes the out= folder of python -m ingest.shard")
    splits = splits_of(root)
    if split not in splits and not (root / split).is_dir():
        raise BadData(f"{root}: no split {split!r} (there are: {', '.join(splits) or 'none'})")
    return root / split


def splits_of(root: str | Path) -> list[str]:
    """The finished splits of a data set folder."""
    return sorted(path.parent.name for path in storage.place(root).glob("*/manifest.json"))


def located(folder: str | Path) -> list[tuple[Path, str]]:
    """(root, split) of a split folder, or of every finished split in a data set folder, train first."""
    given = storage.place(folder)
    path = given.resolve()
    if (path / "manifest.json").exists():
        return [(given.parent if given.name == path.name else path.parent, path.name)]
    found = [(given, split) for split in sorted(splits_of(folder), key=_place)]
    if not found:
        raise BadData(f"{folder}: no manifest.json here or one folder below")
    return found


def _place(split: str) -> tuple[int, str]:
    return (ORDER.index(split) if split in ORDER else len(ORDER)), split


def _distinct(folders: list[Path], manifests: list[Manifest]) -> None:
    seen: dict[int, Path] = {}
    for folder, content in zip(folders, manifests, strict=True):
        if other := seen.get(content.dataset_id):
            raise BadData(
                f"{other} and {folder} have the same data set id: name a set once; of two, shard one with "
                "another name="
            )
        seen[content.dataset_id] = folder


def _files(folder: Path, info: manifest.ShardInfo) -> dict[str, storage.File]:
    """The files of a shard by suffix."""
    return {
        suffix: storage.File(folder / f"{info.stem}.{suffix}", info.bytes[suffix], info.sha256[suffix])
        for suffix in FILES
    }


def _open(files: dict[str, storage.File]) -> _Open:
    """Reads a shard's columns: sizes must be those of the sidecar, and the columns those that were hashed.

    Of remote shards, only columns and labels are here.
    """
    for suffix, file in files.items():
        if storage.is_address(file.path) and suffix not in (SUFFIX_COLUMNS, SUFFIX_LABELS):
            continue
        size = file.local.stat().st_size if file.local.exists() else -1
        if size != file.bytes:
            raise BadData(
                f"{file.path}: {size} bytes, the manifest says {file.bytes}; run ingest.shard again"
            )
    for suffix in (SUFFIX_COLUMNS, SUFFIX_LABELS):
        if sha256_of(files[suffix].local) != files[suffix].sha256:
            raise BadData(f"{files[suffix].path}: sha256 differs from the manifest; run ingest.shard again")
    file, labels = files[SUFFIX_COLUMNS].local, files[SUFFIX_LABELS].local.read_bytes()
    return _Open(files[SUFFIX_TAR].path, file, columns.Rows(file), labels)
