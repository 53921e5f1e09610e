"""What can happen to a folder of shards, as seeded functions: fault(split folder, random) -> the files that
are not what they were. Those inside tars stand in `tests.shards.tar_faults`.

Each function's name is a kind of fault; the random numbers choose the file and the place. Beside the split
`train`, of several shards, stands a split `val`: some faults take files from there.
"""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from random import Random

from shards.pack import BLOCK, FILES, SUFFIX_COLUMNS

Fault = Callable[[Path, Random], list[Path]]
FAULTS: dict[str, Fault] = {}
SIDECAR = "json"


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
def empty_file(split: Path, random: Random) -> list[Path]:
    return cut(filled(split, random), 0)


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
