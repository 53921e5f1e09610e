"""Word images and labels in LMDB environments, as deep-text-recognition-benchmark keeps them. Extra: lmdb.

python -m ingest.shard source=lmdb_pairs root=DIR environments={split} split=train,test out=DIR
python -m ingest.shard source=lmdb_pairs root=data_lmdb_release environments=training split=train out=DIR

    num-samples                         how many pairs
    image-000000001  label-000000001    the first of them: an encoded image, its text in UTF-8

`environments` is one environment, or a tree of folders every leaf of which is one, as in the release:
training/MJ/{MJ_train,MJ_valid,MJ_test}, training/ST, validation, evaluation/*. In a tree, the pairs of one
environment are one group.
"""

import hashlib
import os
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from itertools import accumulate
from pathlib import Path
from typing import Any

from ingest.images import published
from ingest.listing import existing, relative
from ingest.sources import Reject
from shards.errors import BadData, BadSettings
from shards.sample import Meta, Record, Sample, Word
from shards.storage import is_address
from shards.written import digest

GIVES = "words"
EXPECTS = "LMDB environments with image-%09d and label-%09d, one or a tree"
LICENCE = "not stated: that of the sets inside"
DATA = "data.mdb"
COUNT, IMAGE, LABEL = b"num-samples", b"image-%09d", b"label-%09d"
SPLIT = "{split}"
MJSYNTH, HELD_OUT = "MJ_train", ("MJ_valid", "MJ_test")


@dataclass(frozen=True)
class Settings:
    """Which environments make the set."""

    environments: str = ""  # the folder below root, {split} in it = the split; empty: root itself


class Source:
    """One row per pair, environment after environment, sorted by name. Only labels are read beforehand."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        if is_address(root):
            raise BadSettings(f"root={root}: lmdb opens local folders alone; copy it to this disk")
        name = (
            relative(settings.environments.replace(SPLIT, split), "environments")
            if settings.environments
            else ""
        )
        self.per_split, self.folder = SPLIT in settings.environments, existing(root) / name
        if not self.folder.is_dir():
            raise BadData(f"environments={name}: no such folder below {root}")
        self.names = _environments(self.folder, root)
        self.counts = [_count(self.folder / name) for name in self.names]
        self.ends = list(accumulate(self.counts))
        self.notes = list(_held_out(self.names))

    def __len__(self) -> int:
        return self.ends[-1]

    @cached_property
    def options(self) -> dict[str, object]:
        """Names, counts and every label; read once, by the process that plans."""
        listed = [
            [name, _labels(self.folder / name, n)] for name, n in zip(self.names, self.counts, strict=True)
        ]
        return {"listing": digest(listed)}

    def group(self, row: int) -> str:
        """What a row shares with others: its environment in a tree of them, its number in a single one."""
        return self.names[bisect_right(self.ends, row)] or str(row + 1)

    def read(self, row: int) -> Sample:
        """The image as published with its raw label; Reject: missing_image, missing_label, empty_label,
        not_utf8, or an image that cannot be stored.
        """
        place = bisect_right(self.ends, row)
        name, number = self.names[place], row - self.ends[place] + self.counts[place] + 1
        origin = f"{name}/{number:09d}" if name else f"{number:09d}"
        with _opened(self.folder / name).begin() as pairs:
            image, label = pairs.get(IMAGE % number), pairs.get(LABEL % number)
        text = _text(label, origin)
        if image is None:
            raise Reject("missing_image", origin, (IMAGE % number).decode())
        found = published(image, origin)
        meta = Meta(group=f"lmdb_pairs/{name}") if name else Meta()
        record = Record((Word(text),), found.size, origin, meta, transcoded=found.transcoded)
        return Sample(found.image, found.suffix, record)


def _text(label: bytes | None, origin: str) -> str:
    if not label:
        raise Reject("missing_label" if label is None else "empty_label", origin)
    try:
        return label.decode()
    except UnicodeDecodeError as error:
        raise Reject("not_utf8", origin, f"{error.reason} at byte {error.start} of the label") from None


def _environments(folder: Path, root: str) -> list[str]:
    """Names of the environments below a folder, sorted; "" is the folder itself, then the only one."""
    found = []
    for at, below, files in os.walk(folder, onerror=_unreadable, followlinks=True):
        place = Path(at).relative_to(folder).as_posix()
        if DATA in files and below:
            raise BadData(
                f"root={root}: {at} is an environment and holds folders: {', '.join(sorted(below))}"
            )
        if DATA in files:
            found.append("" if place == "." else place)
        elif not below:
            raise BadData(f"root={root}: no {DATA} in {at}; every leaf folder is to be an environment")
    return sorted(found)


def _unreadable(error: OSError) -> None:
    raise BadData(f"{error.filename}: {error.strerror}")


def _held_out(names: list[str]) -> list[str]:
    """What the release's training tree does not say of itself."""
    leaves = {name.rpartition("/")[2]: name for name in names}
    inside = [leaves[leaf] for leaf in HELD_OUT if leaf in leaves]
    if MJSYNTH not in leaves or not inside:
        return []
    return [
        f"{', '.join(inside)} beside {leaves[MJSYNTH]}: words that MJSynth holds out are among these rows, "
        "so what trains on them has no MJSynth score to report"
    ]


_open: dict[str, tuple[int, Any]] = {}  # folder -> (process, environment): one of each may be open at a time


def _opened(folder: Path) -> Any:
    """The environment, read-only and without a lock file: once in every process, after a fork anew."""
    place, here = str(folder), os.getpid()
    process, environment = _open.get(place, (0, None))
    if process == here:
        return environment
    if environment is not None:  # that of the process which was forked
        environment.close()
    try:
        lmdb = import_module("lmdb")
    except ImportError:
        raise BadSettings("source=lmdb_pairs needs the extra: pip install 'ocr-distillery[lmdb]'") from None
    try:
        environment = lmdb.open(place, readonly=True, lock=False, create=False, readahead=False)
    except lmdb.Error as error:
        raise BadData(f"{place}: no LMDB environment that can be read ({error})") from None
    _open[place] = here, environment
    return environment


def _count(folder: Path) -> int:
    """num-samples, which is right: the last pair is there and none follows it."""
    with _opened(folder).begin() as pairs:
        said = pairs.get(COUNT)
        if said is None or not said.isdigit():
            raise BadData(f"{folder}: {COUNT.decode()} is {said!r}, expected a number")
        count = int(said)
        last, after = ([pairs.get(key % n) is not None for key in (IMAGE, LABEL)] for n in (count, count + 1))
    if count and not any(last):
        raise BadData(f"{folder}: {COUNT.decode()} is {count}, but there is no pair {count}")
    if any(after):
        raise BadData(f"{folder}: {COUNT.decode()} is {count}, but there is a pair {count + 1}")
    return count


def _labels(folder: Path, count: int) -> str:
    """sha256 of the labels of an environment, their places included."""
    said = hashlib.sha256(str(count).encode())
    with _opened(folder).begin() as pairs, pairs.cursor() as cursor:
        if cursor.set_range(LABEL % 0):
            for key, label in cursor:
                if not key.startswith(b"label-"):
                    break
                said.update(b"%b %d " % (key, len(label)) + label)
    return said.hexdigest()
