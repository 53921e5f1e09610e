"""Random access to the files of an uncompressed tar.

One pass over the headers gives an index, sorted by name: 16 bytes per file, memory-mapped by every process.
It is kept in the user's cache folder (XDG_CACHE_HOME), under the tar's path, size and time of change, since
neither the raw data nor the shards are its place; what is read through it is checked against the tar's own
header. Links, devices and names that climb out of the tar are not in it, so they are never followed.
"""

import fcntl
import hashlib
import logging
import os
import weakref
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np

from shards.errors import BadData, BadSettings
from shards.written import read_json, write_json

FORMAT = 1
BLOCK = 512
NAME = 100  # bytes of a name in a plain header
ORDINARY = (b"0", b"\0", b"7")
LISTS = b".txt"  # members whose names the index keeps
NOTE_LIMIT = 1 << 20  # bytes that a long name may take
log = logging.getLogger(__name__)


class Tar:
    """A tar read as if it were a folder (`ingest.trees`); of equal names the last counts, as in tar."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names, self.offsets, self.lists = _index(path)
        self.file = open(path, "rb", buffering=0)  # noqa: SIM115 (it lives as long as the tree)
        weakref.finalize(self, self.file.close)

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        start, size = self._extent(path)
        data = os.pread(self.file.fileno(), size, start)
        if len(data) != size:
            raise OSError(f"{self.path} is cut off")
        return data

    def mapped(self, path: str) -> np.ndarray:
        """uint8 [bytes] of a file, mapped into memory."""
        start, size = self._extent(path)
        return np.memmap(self.path, np.uint8, "r", start, (size,)) if size else np.empty(0, np.uint8)

    def holding(self, name: str) -> list[str]:
        """Folders that hold the list `name`, the nearest first."""
        found = {folder for folder, _, last in (path.rpartition("/") for path in self.lists) if last == name}
        return sorted(found, key=lambda folder: (folder.count("/") + bool(folder), folder))

    def place(self, path: str) -> str:
        """The path of a file, after that of the tar."""
        return f"{self.path}/{path}"

    def _extent(self, path: str) -> tuple[int, int]:
        """(first byte, size) of a file; the header in front of it must say the same as the index."""
        name = _plain(path.encode())
        key = np.uint64(_hashed(name))
        at = int(np.searchsorted(self.names, key, side="right")) - 1
        if at < 0 or self.names[at] != key:
            raise FileNotFoundError(f"{path} is not in {self.path}")
        start = int(self.offsets[at])
        header = os.pread(self.file.fileno(), BLOCK, start - BLOCK)
        short = len(name) <= NAME and name.isascii()  # others stand in a note before the header
        if short and _plain(_name(header)) != name:
            raise OSError(f"{self.path} has changed since it was indexed")
        return start, _number(header[124:136])


def _index(path: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """(hashes of names, sorted; where their data begin; names of the lists), from the cache or made now."""
    folder, state = _cache(), path.stat()
    one = hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    version = hashlib.sha256(f"{FORMAT} {state.st_size} {state.st_mtime_ns}".encode()).hexdigest()[:16]
    entries, mark = folder / f"{one}-{version}.npy", folder / f"{one}-{version}.json"
    with _alone(folder):
        with suppress(OSError, EOFError, KeyError, ValueError, BadData):  # absent or damaged: made anew
            return _kept(entries, mark)
        log.warning("%s: reading its headers, once; the index is kept as %s", path, entries)
        table, lists = _table(path)
        for old in folder.glob(f"{one}-*"):  # of this tar before it changed, or of a run that was killed
            old.unlink()
        part = entries.with_suffix(".part")
        with open(part, "wb") as file:
            np.lib.format.write_array(file, table, version=(1, 0), allow_pickle=False)
        os.replace(part, entries)
        write_json(mark, {"format": FORMAT, "tar": str(path), "files": table.shape[1], "lists": lists})
        return _kept(entries, mark)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; the lock is on the folder itself and dies with its holder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _kept(entries: Path, mark: Path) -> tuple[np.ndarray, np.ndarray, list[str]]:
    said = read_json(mark)
    table = np.load(entries, mmap_mode="r", allow_pickle=False)
    if table.shape != (2, said["files"]) or table.dtype != np.uint64:
        raise ValueError(f"{entries} is no index")
    return table[0], table[1], list(said["lists"])


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    folder = Path(base).expanduser() / "ocr-distillery" / "tars"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise BadSettings(
            f"{folder}: no place for the index of a tar ({error.strerror}); XDG_CACHE_HOME=DIR names another"
        ) from None
    return folder


def _table(path: Path) -> tuple[np.ndarray, list[str]]:
    """uint64 [2, files]: hashes of the names, sorted, and where their data begin; the names of the lists."""
    names, starts, lists = array("Q"), array("Q"), []
    for name, start, _ in files(path):
        names.append(_hashed(name))
        starts.append(start)
        if name.endswith(LISTS):
            lists.append(name.decode(errors="replace"))
    if not names:
        raise BadData(f"root={path}: no file in this tar")
    table = np.stack([np.frombuffer(names, np.uint64), np.frombuffer(starts, np.uint64)])
    return np.ascontiguousarray(table[:, np.argsort(table[0], kind="stable")]), lists


def files(path: Path) -> Iterator[tuple[bytes, int, int]]:
    """(name, where its data begin, their bytes) of every ordinary file that stays below the top."""
    long_name, offset, length = b"", 0, path.stat().st_size
    with open(path, "rb", buffering=1 << 20) as file:
        while True:
            file.seek(offset)
            header = file.read(BLOCK)
            if len(header) < BLOCK:
                raise BadData(f"{path}: cut off, tar's closing blocks are missing; fetch it again")
            if header.count(0) == BLOCK:
                return
            size = _number(header[124:136]) if header[257:262] == b"ustar" else -1
            if size < 0:
                raise BadData(f"{path}: no tar header at byte {offset}: damaged, or not an uncompressed tar")
            start = offset + BLOCK
            offset = start + -(-size // BLOCK) * BLOCK
            if start + size > length:
                raise BadData(f"{path}: cut off, {start + size - length} bytes are missing; fetch it again")
            kind = header[156:157]
            if kind in NOTES:
                long_name = NOTES[kind](file.read(min(size, NOTE_LIMIT))) or long_name
                continue
            name, long_name = _plain(long_name or _name(header)), b""
            if kind in ORDINARY and not name.startswith(b"/") and b".." not in name.split(b"/"):
                yield name, start, size


def _pax_name(note: bytes) -> bytes:
    """The path in records of the form `length key=value` and a line end; none: empty."""
    path = b""
    while note:
        length, _, rest = note.partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(note):
            break
        key, _, value = rest[: int(length) - len(length) - 1].removesuffix(b"\n").partition(b"=")
        path = value if key == b"path" else path
        note = note[int(length) :]
    return path


def _gnu_name(note: bytes) -> bytes:
    return note.rstrip(b"\0")


NOTES = {b"x": _pax_name, b"L": _gnu_name}  # members that hold the long name of the next one


def _name(header: bytes) -> bytes:
    name, prefix = header[:NAME].split(b"\0", 1)[0], header[345:500].split(b"\0", 1)[0]
    return prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name


def _plain(name: bytes) -> bytes:
    while name.startswith(b"./"):
        name = name[2:]
    return name


def _number(field: bytes) -> int:
    """Octal digits, or binary where the first bit is set; -1 for neither."""
    if field[0] & 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0") or b"0"
    return int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else -1


def _hashed(name: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")
