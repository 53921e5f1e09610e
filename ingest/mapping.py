"""(function, jobs) -> lazy iterator of results, in the order they finish. Workers know nothing of each other.

A job that fails, or whose worker dies, is run once more; what then still fails is named at the end, and the
stage's exit code is not zero. A Stop (bad data, bad settings) is no accident: it ends the run at once.
Where the jobs run is an executor's affair (`ingest.executors`).
"""

import logging
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any, NamedTuple

from ingest.executors import Pool
from shards.errors import Stop

TRIES = 2
log = logging.getLogger(__name__)


class Task(NamedTuple):
    """A job, and how often it has been tried, this time included."""

    job: Any
    attempt: int


def mapped(pool: Pool, jobs: Iterable[Any]) -> Generator[Any, None, None]:
    """The results of jobs, as many under way as the pool takes; the pool is closed at the end."""
    coming, again, failed, busy = iter(jobs), [], [], 0
    try:
        while True:
            while pool.free > 0 and (task := _next_task(coming, again)) is not None:
                pool.give(task)
                busy += 1
            if not busy:
                break
            for task, result, error in pool.take():
                busy -= 1
                if error is None:
                    yield result
                elif isinstance(error, Stop):
                    raise error
                elif task.attempt < TRIES:
                    log.warning("a job failed and is run again: %s", error.strip().rsplit("\n", 1)[-1])
                    again.append(Task(task.job, task.attempt + 1))
                else:
                    failed.append(error)
    finally:
        pool.close()
    if failed:
        raise Stop(
            f"{len(failed)} jobs failed {TRIES} times; what is done stays, and the same command tries them "
            f"again. The first:\n{failed[0]}"
        )


def _next_task(coming: Iterator[Any], again: list[Task]) -> Task | None:
    if again:
        return again.pop(0)
    job = next(coming, None)
    return None if job is None else Task(job, 1)


def attempt(function: Callable[[Any], Any], job: Any) -> tuple[Any, str | Stop | None]:
    """(result, None), or (None, what went wrong): the trace of an accident, or the Stop itself."""
    try:
        return function(job), None
    except Stop as stop:
        return None, stop
    except MemoryError:
        return None, f"{traceback.format_exc()}{died('memory ran out')}"
    except Exception:
        return None, traceback.format_exc()


def died(how: str) -> str:
    """What is told of a worker that was lost, which is mostly for want of memory."""
    return f"its worker died ({how}); where memory is short, fewer workers= or rows_per_shard= need less"
