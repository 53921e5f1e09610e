"""Files held open and read at any place.

Of a file that is cut off while it is open, bytes are missing: whoever asked for them is told. A memory map
would end the process (SIGBUS) for want of a microsecond a read.
"""

import fcntl
import os
import weakref
from contextlib import suppress
from pathlib import Path


class Held:
    """An open file. It is closed when nobody knows it any more; an OSError where it cannot be opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDONLY)
        weakref.finalize(self, os.close, self._handle)

    def read(self, start: int, size: int) -> bytes:
        """The bytes [start, start + size), fewer where the file ends before; or an OSError."""
        return os.pread(self._handle, size, start)

    def share(self) -> "Held":
        """Tells other processes that it is in use, until it is closed or this process ends."""
        with suppress(OSError):  # a file system without locks
            fcntl.flock(self._handle, fcntl.LOCK_SH)
        return self

    def discard(self) -> bool:
        """Removes the file's name unless it is in use elsewhere; whether it did. What is open stays open."""
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            pass  # no locks there: who has it open keeps it
        self.path.unlink(missing_ok=True)
        return True
