"""What can happen inside the tars of a folder of shards: more of the functions of `tests.shards.faults`."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np

from shards import columns
from shards.pack import BLOCK, SUFFIX_COLUMNS
from tests.shards.faults import cut, fault, flip, one, swap, two

Member = tuple[tarfile.TarInfo, bytes]
HEADER = 24  # bytes at the beginning of an image that say what it is
CLIMBING, ABSOLUTE = "../../climbed.jpg", "/tmp/absolute-name.jpg"
LINKS_DEVICES_AND_THE_LIKE = [b"1", b"2", b"3", b"4", b"5", b"6", b"x"]
ENTRIES = [(CLIMBING, b"0"), (ABSOLUTE, b"0"), (CLIMBING, b"2")]  # (name or None for any, type)
ENTRIES += [(None, kind) for kind in LINKS_DEVICES_AND_THE_LIKE]


def row_of(tar: Path, random: Random) -> np.void:
    """Where a sample of a shard stands."""
    return random.choice(list(np.array(columns.load(tar.with_suffix(f".{SUFFIX_COLUMNS}")))))


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
def cut_tar(split: Path, random: Random) -> list[Path]:
    tar = one(split, random)
    return cut(tar, random.randrange(tar.stat().st_size))


@fault
def empty_tar(split: Path, random: Random) -> list[Path]:
    return cut(one(split, random), 0)


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
def swapped_tars(split: Path, random: Random) -> list[Path]:
    left, right = two(split, random)
    return swap([(split / f"{left}.tar", split / f"{right}.tar")])
