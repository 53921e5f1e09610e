"""Who is writing a shard: the processes that hold a half-written file open."""

from contextlib import suppress

import psutil

from shards.storage import PART


def open_parts(process, out):
    """Half-written files of a folder that a process holds open."""
    with suppress(psutil.Error):
        return [f.path for f in process.open_files() if f.path.startswith(str(out)) and PART in f.path]
    return []


def writers(out):
    """The processes that are writing a shard."""
    return [process for process in psutil.process_iter() if open_parts(process, out)]
