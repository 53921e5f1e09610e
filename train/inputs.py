"""Images that a command names: files, folders, globs, splits of shards, and what comes on standard input.

An image is a name and a function that gets its bytes, which is called when its turn comes.
"""

import glob
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from shards import pack, storage
from shards.errors import BadData
from shards.pictures import SUFFIXES
from shards.read import Shards

STDIN = "-"
HEAD = 16  # bytes that tell an image from a list of paths
# how files of shards.pictures.FORMATS begin
BEGINS = re.compile(
    rb"\xff\xd8|\x89PNG|GIF8|II\*\0|MM\0\*|RIFF....WEBP|BM....\0\0\0\0|P[1-7]\s|\0\0\0\x0cjP|\xff\x4f\xff",
    re.DOTALL,
)

Encoded = tuple[str, Callable[[], bytes]]  # a name, and how to get the bytes


def images(inputs: Sequence[str]) -> Iterator[Encoded]:
    """The images of all inputs, in order; a path that does not exist, or a glob that nothing matches, is a
    BadData before any is read.
    """
    return chain.from_iterable([_found(given) for given in inputs])


def _found(given: str) -> Iterator[Encoded]:
    """The images of one input, which must be there."""
    if given == STDIN:
        return standard_input(sys.stdin.buffer)
    path = storage.place(given)
    if path.exists():
        return _below(path)
    if storage.is_address(path) or not glob.has_magic(given):
        raise BadData(f"{path}: no such file or folder")
    return chain.from_iterable([_below(one) for one in _matches(given)])


def _matches(pattern: str) -> list[Path]:
    """The files that match, or where none does the folders, sorted."""
    names = filter(os.path.lexists, glob.glob(pattern, recursive=True))  # `**` names its folder unseen
    found = [Path(name) for name in sorted(names)]
    if not found:
        raise BadData(f"{pattern}: no file matches; ** stands for folders at any depth")
    return [path for path in found if not path.is_dir()] or found


def _below(path: Path) -> Iterator[Encoded]:
    if (path / "manifest.json").exists():
        shards = Shards([path.parent], path.name)
        for position, uid in enumerate(shards.uids):
            yield f"{path}/{pack.key_of(int(uid))}", partial(shards.image, position)
    elif path.is_dir():
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not inside:
            raise BadData(f"{path}: no image in this folder")
        yield from ((str(one), one.read_bytes) for one in inside)
    else:
        yield str(path), path.read_bytes


def standard_input(stream: BinaryIO) -> Iterator[Encoded]:
    """The one image whose bytes come, or those of a list of paths, one a line, while it comes."""
    head = stream.read(HEAD)
    if BEGINS.match(head):
        data = head + stream.read()
        yield STDIN, lambda: data
        return
    first = head + (b"" if head.endswith(b"\n") else stream.readline())
    lines = (os.fsdecode(line.strip()) for line in chain(first.splitlines(), stream))
    name = ""
    for name in filter(None, lines):
        yield name, partial(_content, name)
    if not name:
        raise BadData(f"{STDIN}: standard input is empty; give an image's bytes, or paths, one a line")


def _content(name: str) -> bytes:
    return storage.place(name).read_bytes()
