"""One job = one shard: rows [first, stop) of a source's listing. Picklable, so it runs anywhere."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.exclusions import Excluded, left_out
from ingest.shares import Shares, opened
from ingest.sources import SCARCE, Reject
from shards.errors import BadData, BadSettings, Stop
from shards.manifest import Rejected, ShardInfo
from shards.pack import finished, stem_of, write_shard
from shards.sample import Sample

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what no second try mends


BARRED = (  # what only the user can mend
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP,
    errno.ENAMETOOLONG,
)  # fmt: skip


class Full(BadData):
    """The disk takes no more. What is finished stays."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Tells of a full disk, a used-up quota or a file that may not grow as what it is, a Full; of what stands
    where a file of ours should, or may not be written, as a BadSettings.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise Full(
                f"{folder}: cannot be written: {error.strerror}; what is done stays, and the same command "
                "goes on once there is room"
            ) from None
        if error.errno in BARRED:
            raise BadSettings(
                f"{error.filename2 or error.filename or folder}: cannot be written: {error.strerror}; what "
                "stands there is left as it is: move it away, make it writable, or choose another out="
            ) from None
        raise


@contextmanager
def reading(source: str, root: str) -> Iterator[None]:
    """Tells of raw data that may not be read as a BadData."""
    try:
        yield
    except OSError as error:
        raise BadData(
            f"{error.filename or root}: cannot be read: {error.strerror or error}; source={source} needs it: "
            "make it readable or move it away"
        ) from None


@dataclass(frozen=True, slots=True)
class Job:
    """All that a worker needs: which source, how it is set, which rows, and where the shard goes."""

    source: str
    settings: Any
    root: str
    split: str
    folder: Path
    dataset: int
    stem: str
    first: int
    stop: int
    excluded: tuple[Excluded, ...] = ()  # among these rows
    shares: Shares | None = None  # where no splits were published


def cut(rows: int, rows_per_shard: int) -> list[tuple[str, int, int]]:
    """(stem, first, stop) of every shard of a listing."""
    starts = enumerate(range(0, rows, rows_per_shard))
    return [(stem_of(number), first, min(first + rows_per_shard, rows)) for number, first in starts]


def run(job: Job) -> ShardInfo:
    """Writes the shard of a job, or returns what a finished one says of itself."""
    done = finished(job.folder, job.stem, job.first, job.stop)
    if done:
        return done
    source = _source(job)
    excluded = {one.row: one for one in job.excluded}
    rows = (
        (row, left_out(outcome(source, row, job.root), excluded.get(row)))
        for row in range(job.first, job.stop)
    )
    with writing(job.folder):
        return write_shard(job.folder, job.stem, job.first, job.stop, rows, job.dataset)


def outcome(source: Any, row: int, root: str) -> Sample | Rejected:
    """The sample of a row, or why there is none. What stops the run (BadData), and what the machine lacks
    and not the data, is passed on.
    """
    try:
        return source.read(row)
    except Reject as reject:
        return Rejected(row, reject.reason, reject.origin, reject.detail)
    except (Stop, MemoryError):
        raise
    except Exception as error:  # one row must never take its neighbours along
        if isinstance(error, OSError) and error.errno in SCARCE:
            raise
        return Rejected(row, "error", f"row {row}", _portable(f"{type(error).__name__}: {error}", root))


def _portable(text: str, root: str) -> str:
    """Without memory addresses and the place of the raw data: ledgers are equal on every machine."""
    text = re.sub(r" at 0x[0-9a-f]+", "", text)
    places = {root.rstrip("/"), str(Path(root).resolve()), str(Path(root))} if root else set()
    for place in places - {"", ".", "/"}:
        text = re.sub(rf"(?<![\w./-]){re.escape(place)}/", "root/", text)
    return text


_built: dict[tuple[object, ...], Any] = {}


def _source(job: Job) -> Any:
    """The job's source; one is kept per process, since reading a long listing takes longer than a shard."""
    key = (job.source, job.root, job.split, job.dataset, repr(job.settings), job.shares)
    if key not in _built:
        _built.clear()
        _built[key] = opened(job.source, job.settings, job.root, job.split, job.shares)
    return _built[key]


def iterate(
    jobs: list[tuple[str, int, int]], excluded: tuple[Excluded, ...] = (), **common: Any
) -> Iterator[Job]:
    """Jobs for the shards that `cut` named, each with the excluded rows that are its own."""
    for stem, first, stop in jobs:
        mine = tuple(one for one in excluded if first <= one.row < stop)
        yield Job(stem=stem, first=first, stop=stop, excluded=mine, **common)
