"""Samples in; one shard out: tar, columns, labels, DALI's index and, last, the sidecar that marks it done.

Every file is written aside, synced and renamed; the same samples give the same bytes on any day and
machine.
"""

import hashlib
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from shards import columns as columns_module
from shards import manifest, storage
from shards.errors import BadData
from shards.manifest import Rejected, ShardInfo
from shards.sample import SUFFIXES, Sample, record_from_json, to_members
from shards.written import seal

SUFFIX_TAR, SUFFIX_COLUMNS, SUFFIX_LABELS, SUFFIX_INDEX = "tar", "columns.npy", "labels", "idx"
FILES = (SUFFIX_TAR, SUFFIX_COLUMNS, SUFFIX_LABELS, SUFFIX_INDEX)
BLOCK = 512  # a tar is made of these


def stem_of(number: int) -> str:
    """The file name, without suffix, of shard `number`."""
    return f"{number:06d}"


def key_of(uid: int) -> str:
    """The member name of a sample: its uid as 16 hex digits."""
    return f"{uid:016x}"


def write_shard(
    folder: Path,
    stem: str,
    first: int,
    stop: int,
    rows: Iterable[tuple[int, Sample | Rejected]],
    dataset: int,
) -> ShardInfo:
    """Writes rows [first, stop) of a listing as shard `stem`; every row must come once, in order.

    A sample that breaks contract 1 is rejected as "invalid_record" with the rule it broke.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # the done mark goes first, so a rewrite is never half done
    (folder / f"{stem}.json").unlink(missing_ok=True)
    storage.sweep(folder, stem)
    with storage.desk(folder, stem) as desk:
        return _write(desk, folder, stem, first, stop, rows, dataset)


def _write(
    desk: Path,
    folder: Path,
    stem: str,
    first: int,
    stop: int,
    rows: Iterable[tuple[int, Sample | Rejected]],
    dataset: int,
) -> ShardInfo:
    """The files of a shard, written whole on the desk before the first gets its name."""
    parts = {suffix: desk / suffix for suffix in FILES}
    rejects = _write_tar(parts[SUFFIX_TAR], first, stop, rows, dataset)
    _write_derived(parts)
    info = ShardInfo(
        stem=stem,
        first=first,
        stop=stop,
        written=stop - first - len(rejects),
        bytes={suffix: part.stat().st_size for suffix, part in parts.items()},
        sha256={suffix: sha256_of(part) for suffix, part in parts.items()},
        rejects=tuple(rejects),
    )
    for suffix, part in parts.items():
        storage.publish(part, folder / f"{stem}.{suffix}")
    storage.sync(folder)
    seal(desk / "json", asdict(info))
    storage.publish(desk / "json", folder / f"{stem}.json")
    return info


def _write_tar(part: Path, first: int, stop: int, rows, dataset: int) -> list[Rejected]:
    from webdataset.writer import TarWriter  # imports torch: only those who write pay for it

    rejects, expected = [], first
    with open(part, "wb") as file, TarWriter(file, encoder=False, compress=False, mtime=0) as tar:
        for row, item in rows:
            if row != expected:
                raise ValueError(f"row {row} came where {expected} was due")
            expected += 1
            if isinstance(item, Sample):
                try:
                    members = to_members(item)
                    tar.write({"__key__": key_of(manifest.uid_of(dataset, row)), **members})
                    continue
                except BadData as error:
                    item = Rejected(row, "invalid_record", item.record.origin, str(error))
            rejects.append(item)
    if expected != stop:
        raise ValueError(f"{expected - first} rows came, {stop - first} were due")
    return rejects


class _Member(NamedTuple):
    """A file in a tar: its name, where its bytes begin, and how many they are."""

    name: str
    offset: int
    size: int


def _members(tar: mmap.mmap) -> Iterator[_Member]:
    """The files of a tar that was just written here; other headers than plain ones would be a mistake."""
    at = 0
    while tar[at] != 0:  # a closing block begins with a zero, a header with a name
        header = tar[at : at + BLOCK]
        if header[156:157] != b"0":
            raise BadData(f"tar header at byte {at}: not one of an ordinary file")
        member = _Member(header[:100].rstrip(b"\0").decode(), at + BLOCK, int(header[124:135], 8))
        yield member
        at = member.offset + -(-member.size // BLOCK) * BLOCK


def _write_derived(parts: dict[str, Path]) -> None:
    """Columns, labels and index, read back from the tar itself: what they say is what stands there."""
    rows, texts, lines = [], bytearray(), []
    with (
        open(parts[SUFFIX_TAR], "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as tar,
    ):
        members = list(_members(tar))
        for pair in zip(members[::2], members[1::2], strict=True):
            record, image = sorted(pair, key=lambda member: not member.name.endswith(".json"))
            rows.append(_column(image, record, tar, texts))
            lines.append(_index_line(*pair))
    columns_module.save(parts[SUFFIX_COLUMNS], np.array(rows, dtype=columns_module.DTYPE))
    parts[SUFFIX_LABELS].write_bytes(bytes(texts))
    parts[SUFFIX_INDEX].write_text("".join([f"v1.2 {len(lines)}\n", *lines]))


def _column(image: _Member, record: _Member, tar: mmap.mmap, texts: bytearray) -> tuple:
    key, suffix = image.name.split(".")
    if suffix not in SUFFIXES or record.name != f"{key}.json":
        raise BadData(f"tar members {image.name}, {record.name} do not make a sample")
    pixels, text = (tar[member.offset : member.offset + member.size] for member in (image, record))
    content = record_from_json(text)
    known = [word.text for word in content.words if word.text is not None]
    label = "\n".join(known).encode() if known else None
    start = len(texts)
    texts.extend(label or b"")
    group = hashlib.sha256((content.meta.group or key).encode()).digest()[:8]
    hashes = [np.frombuffer(hashlib.sha256(data).digest(), np.uint8) for data in (pixels, text)]
    return (
        manifest.split_uid(int(key, 16))[1], image.offset, image.size, record.offset, record.size,
        *hashes, *content.size, start, -1 if label is None else len(label), len(content.words),
        int.from_bytes(group, "little"),
    )  # fmt: skip


def _index_line(*members: _Member) -> str:
    parts = (f"{m.name.split('.', 1)[1]} {m.offset} {m.size} {m.name}" for m in members)
    return " ".join(parts) + "\n"


def finished(folder: Path, stem: str, first: int, stop: int) -> ShardInfo | None:
    """The sidecar of a shard that is whole and covers [first, stop); None if it has to be (re)written.

    Whole: every file has the size and the sha256 of the sidecar, so running a stage again repairs damage.
    """
    try:
        info = manifest.shard_info(folder / f"{stem}.json")
        sizes = {suffix: (folder / f"{stem}.{suffix}").stat().st_size for suffix in FILES}
        if (info.stem, info.first, info.stop, info.bytes) != (stem, first, stop, sizes):
            return None
        whole = {suffix: sha256_of(folder / f"{stem}.{suffix}") for suffix in FILES} == info.sha256
    except (BadData, OSError):
        return None
    return info if whole else None


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
