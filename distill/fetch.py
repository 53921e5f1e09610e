"""Caches elsewhere: an address such as s3://bucket/words becomes a local folder, file by file and checked.

Done marks are copied last, and each file is hashed against its mark before the mark is copied: a copy that
was cut off is told from a whole one, and running it again goes on.
"""

import fcntl
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distill import fingerprint
from shards.errors import BadData, BadSettings
from shards.storage import is_address, mirror
from shards.written import write_bytes

MARKS = "done/"
LOCK = ".lock"


def local(path: str | Path) -> Path:
    """The local folder of a cache; one elsewhere is fetched into a folder named by its address."""
    if not is_address(path):
        return Path(str(path).removeprefix("file://"))
    folder = mirror(path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}{LOCK}", "w") as lock:  # processes of one launch wait for the first of them
        fcntl.flock(lock, fcntl.LOCK_EX)
        copy(str(path), str(folder))
    return folder


def copy(source: str, target: str, say: Callable[[str], Any] = lambda text: None) -> tuple[int, int]:
    """Copies a cache; returns how many files and bytes were moved: equal ones are left as they are."""
    try:
        return _copy(source, target, say)
    except OSError as error:
        raise BadData(
            f"{source} to {target}: {error.strerror or error}; what was moved stays, the same command goes on"
        ) from None


def _copy(source: str, target: str, say: Callable[[str], Any]) -> tuple[int, int]:
    theirs, mine = _open(source), _open(target)
    names = sorted(theirs.names(), key=lambda name: (name.startswith(MARKS), name))
    if fingerprint.NAME not in names:
        raise BadData(f"{source}: no {fingerprint.NAME}, so no cache")
    if mine.has(fingerprint.NAME) and mine.read(fingerprint.NAME) != theirs.read(fingerprint.NAME):
        raise BadSettings(f"{target}: holds another cache than {source}; remove it, or choose another folder")
    files, size, standing = 0, 0, mine.names()
    for place, name in enumerate(names, 1):
        if name in standing and mine.size(name) == theirs.size(name):
            continue
        data = theirs.read(name)
        if name.startswith(MARKS):
            _vouched(mine, name, data)
        mine.write(name, data)
        files, size = files + 1, size + len(data)
        say(f"{place} of {len(names)} files, {size / 1e6:.1f} MB")
    return files, size


def inside(name: str) -> str:
    """The name of a file of a cache; one that leaves the folder is refused."""
    if name.startswith("/") or ".." in name.split("/"):
        raise BadData(f"{name!r}: no file of a cache")
    return name


def _vouched(place: "_Place", name: str, mark: bytes) -> None:
    """Refuses to copy a done mark whose chunks did not arrive as it says; what is wrong is taken away."""
    try:
        sums = dict(json.loads(mark)["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise BadData(f"{name}: not a done mark ({error})") from None
    for chunk, expected in sums.items():
        inside(chunk)
        if not place.has(chunk) or hashlib.sha256(place.read(chunk)).hexdigest() != expected:
            place.remove(chunk)
            raise BadData(f"{place.root}/{chunk}: sha256 differs from {name}; run again to fetch it anew")


class _Place:
    """A folder that fsspec reaches. Files are named by their path within it."""

    def __init__(self, root: str, system: Any, path: str) -> None:
        self.root, self._system, self._path = root.rstrip("/"), system, path.rstrip("/")

    def names(self) -> set[str]:
        """Every file but hidden and half-written ones."""
        found = self._system.find(self._path) if self._system.exists(self._path) else []
        names = {inside(str(path).removeprefix(self._path).lstrip("/")) for path in found}
        return {n for n in names if not n.rsplit("/", 1)[-1].startswith(".") and not n.endswith(".part")}

    def has(self, name: str) -> bool:
        """Whether a file is there."""
        return self._system.exists(f"{self._path}/{name}")

    def size(self, name: str) -> int:
        """Bytes of a file."""
        return int(self._system.size(f"{self._path}/{name}"))

    def read(self, name: str) -> bytes:
        """A file's content."""
        return self._system.cat_file(f"{self._path}/{name}")

    def write(self, name: str, data: bytes) -> None:
        """Writes a file whole."""
        path = f"{self._path}/{name}"
        if is_address(self.root):
            self._system.pipe_file(path, data)
        else:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            write_bytes(Path(path), data)

    def remove(self, name: str) -> None:
        """Takes a file away, if it is there."""
        if self.has(name):
            self._system.rm_file(f"{self._path}/{name}")


def _open(address: str) -> _Place:
    import fsspec.core

    place = address if is_address(address) else str(local(address).absolute())
    try:
        system, path = fsspec.core.url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise BadSettings(f"{address}: {error} (s3:// needs: pip install ocr-distillery[s3])") from None
    return _Place(address, system, path)
