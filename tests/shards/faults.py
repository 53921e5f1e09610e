"""What can happen to a folder of shards, as seeded functions: fault(split folder, random) -> the files that
are not what they were.

Each function's name is a kind of fault; the random numbers choose the file and the place. Beside the split
`train`, of several shards, stands a split `val`: some faults take files from there.
"""

import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

import numpy as np

from shards import columns
from shards.pack import BLOCK, FILES, SUFFIX_COLUMNS

Fault = Callable[[Path, Random], list[Path]]
Member = tuple[tarfile.TarInfo, bytes]
FAULTS: dict[str, Fault] = {}
HEADER = 24  # bytes at the beginning of an image that say what it is
SIDECAR = "json"
CLIMBING, ABSOLUTE = "../../climbed.jpg", "/tmp/absolute-name.jpg"
LINKS_DEVICES_AND_THE_LIKE = [b"1", b"2", b"3", b"4", b"5", b"6", b"x"]
ENTRIES = [(CLIMBING, b"0"), (ABSOLUTE, b"0"), (CLIMBING, b"2")]  # (name or None for any, type)
ENTRIES += [(None, kind) for kind in LINKS_DEVICES_AND_THE_LIKE]


def fault(function: Fault) -> Fault:
    """Registers a fault under its name."""
    FAULTS[function.__name__] = function
    return function


def two(split: Path, random: Random) -> list[str]:
    """Two shards of a split."""
    return random.sample(sorted(path.stem for path in split.glob("*.tar")), 2)


def one(split: Path, random: Random, suffix: str = "tar") -> Path:
    """One of a split's files of a kind."""
    return split / f"{two(split, random)[0]}.{suffix}"


def filled(split: Path, random: Random) -> Path:
    """One of all files of a split that hold anything."""
    return random.choice(sorted(path for path in split.iterdir() if path.stat().st_size))


def row_of(tar: Path, random: Random) -> np.void:
    """Where a sample of a shard stands."""
    return random.choice(list(np.array(columns.load(tar.with_suffix(f".{SUFFIX_COLUMNS}")))))


def flip(path: Path, random: Random, start: int = 0, size: int = 0) -> list[Path]:
    """Turns over one to three bits of a file, of [start, start + size) if that is given."""
    data = bytearray(path.read_bytes())
    for bit in random.sample(range(8 * (size or len(data))), random.randint(1, 3)):
        data[start + bit // 8] ^= 1 << bit % 8
    path.write_bytes(data)
    return [path]


def cut(path: Path, size: int) -> list[Path]:
    """Keeps the first bytes of a file."""
    with path.open("r+b") as file:
        file.truncate(size)
    return [path]


def swap(pairs: Iterable[tuple[Path, Path]]) -> list[Path]:
    """Exchanges files."""
    changed = []
    for left, right in pairs:
        mine, theirs = left.read_bytes(), right.read_bytes()
        if mine != theirs:
            left.write_bytes(theirs)
            right.write_bytes(mine)
            changed += [left, right]
    return changed


@fault
def flip_in_tar_header(split: Path, random: Random) -> list[Path]:
    tar = one(split, random)
    return flip(tar, random, int(row_of(tar, random)["image_offset"]) - BLOCK, BLOCK)


@fault
def flip_in_image_header(split: Path, random: Random) -> list[Path]:
    tar = one(split, random)
    return flip(tar, random, int(row_of(tar, random)["image_offset"]), HEADER)


@fault
def flip_in_image_body(split: Path, random: Random) -> list[Path]:
    tar = one(split, random)
    row = row_of(tar, random)
    return flip(tar, random, int(row["image_offset"]) + HEADER, int(row["image_size"]) - HEADER)


@fault
def flip_in_record(split: Path, random: Random) -> list[Path]:
    tar = one(split, random)
    row = row_of(tar, random)
    return flip(tar, random, int(row["json_offset"]), int(row["json_size"]))


@fault
def flip_in_tar(split: Path, random: Random) -> list[Path]:
    return flip(one(split, random), random)


@fault
def flip_in_columns(split: Path, random: Random) -> list[Path]:
    return flip(one(split, random, SUFFIX_COLUMNS), random)


@fault
def flip_in_labels(split: Path, random: Random) -> list[Path]:
    return flip(one(split, random, "labels"), random)


@fault
def flip_in_index(split: Path, random: Random) -> list[Path]:
    return flip(one(split, random, "idx"), random)


@fault
def flip_in_sidecar(split: Path, random: Random) -> list[Path]:
    return flip(one(split, random, SIDECAR), random)


@fault
def flip_in_manifest(split: Path, random: Random) -> list[Path]:
    return flip(split / "manifest.json", random)


@fault
def flip_in_ledger(split: Path, random: Random) -> list[Path]:
    return flip(split / "rejects.jsonl", random)


@fault
def cut_file(split: Path, random: Random) -> list[Path]:
    path = filled(split, random)
    return cut(path, random.randrange(path.stat().st_size))


@fault
def cut_last_bytes(split: Path, random: Random) -> list[Path]:
    path = filled(split, random)
    return cut(path, max(0, path.stat().st_size - random.choice([1, 2, BLOCK])))


@fault
def cut_tar(split: Path, random: Random) -> list[Path]:
    tar = one(split, random)
    return cut(tar, random.randrange(tar.stat().st_size))


@fault
def empty_file(split: Path, random: Random) -> list[Path]:
    return cut(filled(split, random), 0)


@fault
def empty_tar(split: Path, random: Random) -> list[Path]:
    return cut(one(split, random), 0)


@fault
def empty_shard(split: Path, random: Random) -> list[Path]:
    stem = two(split, random)[0]
    return [cut(split / f"{stem}.{suffix}", 0)[0] for suffix in FILES]


@fault
def lost_file(split: Path, random: Random) -> list[Path]:
    path = random.choice(sorted(split.iterdir()))
    path.unlink()
    return [path]


@fault
def lost_shard(split: Path, random: Random) -> list[Path]:
    stem = two(split, random)[0]
    lost = [split / f"{stem}.{suffix}" for suffix in (SIDECAR, *FILES)]
    for path in lost:
        path.unlink()
    return lost


@fault
def grown_file(split: Path, random: Random) -> list[Path]:
    path = filled(split, random)
    with path.open("ab") as file:
        file.write(random.choice([b"\n", bytes(BLOCK), path.read_bytes()]))
    return [path]


@fault
def hole_in_tar(split: Path, random: Random) -> list[Path]:
    tar = one(split, random)
    data = bytearray(tar.read_bytes())
    start = int(row_of(tar, random)["image_offset"]) + random.choice([-BLOCK, 0])
    data[start : start + BLOCK] = bytes(BLOCK)
    tar.write_bytes(data)
    return [tar]


def repacked(tar: Path, change: Callable[[list[Member]], object]) -> list[Path]:
    """Writes a tar anew after a change of its members."""
    with tarfile.open(tar) as old:
        members = [(info, old.extractfile(info).read()) for info in old]
    change(members)
    with tarfile.open(tar, "w", format=tarfile.USTAR_FORMAT) as new:
        for info, data in members:
            new.addfile(info, io.BytesIO(data))
    return [tar]


@fault
def missing_member(split: Path, random: Random) -> list[Path]:
    return repacked(one(split, random), lambda members: members.pop(random.randrange(len(members))))


@fault
def double_member(split: Path, random: Random) -> list[Path]:
    def change(members: list[Member]) -> None:
        members.insert(random.randrange(len(members) + 1), random.choice(members))

    return repacked(one(split, random), change)


@fault
def interleaved_members(split: Path, random: Random) -> list[Path]:
    def change(members: list[Member]) -> None:
        place = random.randrange(len(members) - 2)
        members[place], members[place + 2] = members[place + 2], members[place]

    return repacked(one(split, random), change)


@fault
def strange_member(split: Path, random: Random) -> list[Path]:
    """One member more: a climbing or absolute name, a link, a device, a folder, a pipe."""

    def change(members: list[Member]) -> None:
        name, kind = random.choice(ENTRIES)
        strange = tarfile.TarInfo(name or "strange.jpg")
        strange.type, strange.linkname = kind, "../../climbed"
        members.insert(random.randrange(len(members) + 1), (strange, b""))

    return repacked(one(split, random), change)


@fault
def strange_header(split: Path, random: Random) -> list[Path]:
    """A member becomes such a thing where it stands: every other byte of the tar stays in its place."""
    tar = one(split, random)
    start = int(row_of(tar, random)[random.choice(["image_offset", "json_offset"])]) - BLOCK
    data = bytearray(tar.read_bytes())
    info = tarfile.TarInfo.frombuf(bytes(data[start : start + BLOCK]), "utf-8", "strict")
    name, kind = random.choice(ENTRIES)
    header = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    header[:100] = (name or info.name).encode().ljust(100, b"\0")
    header[156:157], header[157:257] = kind, b"../../climbed".ljust(100, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    data[start : start + BLOCK] = header
    tar.write_bytes(data)
    return [tar]


@fault
def shifted_index(split: Path, random: Random) -> list[Path]:
    index = one(split, random, "idx")
    first, *lines = index.read_text().splitlines()
    parts = [line.split(" ") for line in lines]
    for line in parts:
        line[1::4] = [str(int(offset) + BLOCK) for offset in line[1::4]]
    lines = random.choice([lines[1:], lines[::-1], [" ".join(line) for line in parts]])
    index.write_text("\n".join([first, *lines]) + "\n")
    return [index]


@fault
def stale_file(split: Path, random: Random) -> list[Path]:
    """A file of another shard, of this split or of the other."""
    suffix, (mine, other) = random.choice((SIDECAR, *FILES)), two(split, random)
    theirs = random.choice([split / f"{other}.{suffix}", split.parent / "val" / f"{mine}.{suffix}"])
    shutil.copy(theirs, split / f"{mine}.{suffix}")
    return [split / f"{mine}.{suffix}"]


@fault
def stale_shard(split: Path, random: Random) -> list[Path]:
    """All files of a shard of the other split, which covers the same rows."""
    stem = two(split, random)[0]
    names = [f"{stem}.{suffix}" for suffix in (SIDECAR, *FILES)]
    return [Path(shutil.copy(split.parent / "val" / name, split / name)) for name in names]


@fault
def stale_manifest(split: Path, random: Random) -> list[Path]:
    return [Path(shutil.copy(split.parent / "val/manifest.json", split / "manifest.json"))]


@fault
def edited_sidecar(split: Path, random: Random) -> list[Path]:
    return edited(one(split, random, SIDECAR), random)


@fault
def edited_manifest(split: Path, random: Random) -> list[Path]:
    return edited(split / "manifest.json", random)


def edited(path: Path, random: Random) -> list[Path]:
    """One value of a JSON object is another one, lost, or of another type."""
    content = json.loads(path.read_text())
    key = random.choice(sorted(content.keys() - {"seal"}))
    value = content.pop(key)
    new = random.choice(
        [None, "", [], {}, -1, 10**30, "lost", value + 1 if type(value) is int else f"{value}x"]
    )
    if new != "lost":
        content[key] = new
    path.write_text(json.dumps(content, sort_keys=True, ensure_ascii=False, indent=1) + "\n")
    return [path]


@fault
def no_object(split: Path, random: Random) -> list[Path]:
    path = random.choice([split / "manifest.json", one(split, random, SIDECAR)])
    path.write_text(
        random.choice(["[]", "null", "1", '"a"', "{}", "\ufeff{}", "[" * 100_000, "NaN", "9" * 5000])
    )
    return [path]


@fault
def swapped_tars(split: Path, random: Random) -> list[Path]:
    left, right = two(split, random)
    return swap([(split / f"{left}.tar", split / f"{right}.tar")])


@fault
def swapped_columns(split: Path, random: Random) -> list[Path]:
    left, right = two(split, random)
    return swap([(split / f"{left}.{SUFFIX_COLUMNS}", split / f"{right}.{SUFFIX_COLUMNS}")])


@fault
def swapped_shards(split: Path, random: Random) -> list[Path]:
    left, right = two(split, random)
    return swap((split / f"{left}.{suffix}", split / f"{right}.{suffix}") for suffix in (SIDECAR, *FILES))


@fault
def swapped_files_of_shards(split: Path, random: Random) -> list[Path]:
    """As above, but each sidecar stays: its name and its rows are those that were looked for."""
    left, right = two(split, random)
    return swap((split / f"{left}.{suffix}", split / f"{right}.{suffix}") for suffix in FILES)
