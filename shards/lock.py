"""One writer per folder: a lock dies with its holder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shards.errors import BadSettings
from shards.storage import is_address

FILE = ".lock"  # what is locked in run folders and caches: shared file systems refuse to lock a folder


def take(handle: int, refusal: str) -> int:
    """Locks an open file or folder until the handle is closed, and gives the handle back.

    Where another process holds it the handle is closed, and a BadSettings says `refusal`.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise BadSettings(refusal) from None
    return handle


def take_in(folder: Path, refusal: str) -> int:
    """Locks a folder by a file in it, as `take` does."""
    return take(os.open(folder / FILE, os.O_CREAT | os.O_RDWR, 0o644), refusal)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes a folder and holds it itself, so that no file is left in it; a BadSettings where another process
    does.

    An address cannot be held: two runs into one write the same bytes, or refuse each other's data set.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if is_address(folder):
        yield
        return
    refusal = f"{folder}: another run writes here; wait for it or choose another out="
    handle = take(os.open(folder, os.O_RDONLY), refusal)
    try:
        yield
    finally:
        os.close(handle)


@contextmanager
def awaited(folder: Path) -> Iterator[None]:
    """Holds a folder as `locked` does, but waits until whoever holds it is done: for what takes seconds.

    A file system that locks no folder lets everybody through.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
