"""Images that a command names: files, folders, globs, splits of shards, and what comes on standard input.

An image is a name and a function that gets its bytes, which is called when its turn comes.
"""

import glob
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from io import BufferedIOBase
from itertools import chain
from pathlib import Path
from typing import cast

from shards import pack, storage
from shards.errors import BadData, BadSettings
from shards.pictures import SUFFIXES
from shards.read import Shards

STDIN = "-"
HEAD = 16  # bytes that tell an image from a list of paths
CHUNK = 1 << 16  # bytes taken at once, of those that are there
# how files of shards.pictures.FORMATS begin
BEGINS = re.compile(
    rb"\xff\xd8|\x89PNG|GIF8|II\*\0|MM\0\*|RIFF....WEBP|BM....\0\0\0\0|P[1-7]\s|\0\0\0\x0cjP|\xff\x4f\xff",
    re.DOTALL,
)

Encoded = tuple[str, Callable[[], bytes]]  # a name, and how to get the bytes


def images(inputs: Sequence[str], apart: str = "") -> Iterator[Encoded]:
    """The images of all inputs, in order. Before any is read: BadData where a path does not exist, a glob
    matches nothing, a folder holds no image, or standard input neither an image nor paths; BadSettings where
    one stands in the folder `apart`, in which files are written.
    """
    found = [_found(given) for given in inputs]
    if apart:
        _refuse_within(apart, (name for some in found if isinstance(some, list) for name, _ in some))
    return chain.from_iterable(found)


def _refuse_within(folder: str, names: Iterable[str]) -> None:
    own = Path(folder).resolve()
    for place in {Path(name).parent for name in names if not storage.is_address(name)}:
        if place.resolve() == own:
            raise BadSettings(f"drawn={folder}: images are read from this folder; give another")


def _found(given: str) -> Iterable[Encoded]:
    """The images of one input, which must be there; a list where their names are known at once."""
    if given == STDIN:
        return standard_input(cast(BufferedIOBase, sys.stdin.buffer))
    path = storage.place(given)
    try:
        if path.exists():
            return _below(path)
        if storage.is_address(path) or not glob.has_magic(given):
            raise BadData(f"{path}: no such file or folder")
        return [one for match in _matches(given) for one in _below(match)]
    except OSError as error:
        raise BadData(f"{error.filename or path}: {error.strerror or error}") from None


def _matches(pattern: str) -> list[Path]:
    """The files that match, or where none does the folders, sorted."""
    names = filter(os.path.lexists, glob.glob(pattern, recursive=True))  # `**` names its folder unseen
    found = [Path(name) for name in sorted(names)]
    if not found:
        raise BadData(f"{pattern}: no file matches; ** stands for folders at any depth")
    return [path for path in found if not path.is_dir()] or found


def _below(path: Path) -> Iterable[Encoded]:
    if (path / "manifest.json").exists():
        shards = Shards([path.parent], path.name)
        numbered = enumerate(shards.uids)
        return ((f"{path}/{pack.key_of(int(uid))}", partial(shards.image, at)) for at, uid in numbered)
    if not path.is_dir():
        return [(str(path), partial(storage.content, path))]
    inside = sorted(one for one in storage.below(path) if one.suffix.lower() in SUFFIXES)
    if not inside:
        raise BadData(f"{path}: no image in this folder")
    return [(str(one), partial(storage.content, one)) for one in inside]


def standard_input(stream: BufferedIOBase) -> Iterator[Encoded]:
    """The one image whose bytes come, or those of a list of paths, one a line, while it comes; BadData where
    it begins as neither.
    """
    head = b""
    while len(head) < HEAD and (more := stream.read1(CHUNK)):
        head += more
    if BEGINS.match(head):
        data = head + stream.read()
        return iter([(STDIN, lambda: data)])
    begun = head + (b"" if head.endswith(b"\n") else stream.readline())
    if b"\0" in begun or begun.startswith(b"%PDF"):
        raise BadData(f"{STDIN}: neither an image nor paths, one a line (of find without -print0)")
    lines = (line.rstrip(b"\r\n") for line in chain(begun.split(b"\n"), stream))
    names = (os.fsdecode(line) for line in lines if line.strip())
    for first in names:
        return ((name, partial(local, name)) for name in chain([first], names))
    raise BadData(f"{STDIN}: standard input is empty; give an image's bytes, or paths, one a line")


def local(name: str | Path) -> bytes:
    """The bytes of a file on this machine: who names it may not be who runs the program, so that an address
    is a BadData. OSError where it cannot be read.
    """
    if storage.is_address(name):
        raise BadData(f"{name}: an address; only files of this machine are read here")
    return storage.content(storage.place(name))
