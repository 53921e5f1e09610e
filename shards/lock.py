"""One run per output folder."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shards.errors import BadSettings


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a folder for this process; a BadSettings where another one does.

    The lock is on the folder itself: it leaves no file and dies with its holder.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BadSettings(
                f"{folder}: another run writes here; wait for it or choose another out="
            ) from None
        yield
    finally:
        os.close(handle)
