"""(function, jobs) -> lazy iterator of results, in the order they finish. Workers know nothing of each other.

A job that fails, or whose worker dies, is run once more; what then still fails is named at the end, and the
stage's exit code is not zero. A Stop (bad data, bad settings) is no accident: it ends the run at once.
"""

import logging
import os
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from typing import Any, TypeVar

from shards.errors import Stop

TRIES = 2
J = TypeVar("J")
R = TypeVar("R")
log = logging.getLogger(__name__)


def local(function: Callable[[J], R], jobs: Iterable[J], workers: int) -> Generator[R, None, None]:
    """Results of `function` over jobs, by `workers` processes of this machine; with 1, by this process."""
    failed: list[str] = []
    outcomes = _inline(function, jobs) if workers <= 1 else _pooled(function, jobs, workers)
    for result, error in outcomes:
        if error is None:
            yield result
        else:
            failed.append(error)
    if failed:
        raise Stop(f"{len(failed)} jobs failed {TRIES} times; the first:\n{failed[0]}")


def _inline(function: Callable[[J], R], jobs: Iterable[J]) -> Iterator[tuple[Any, str | None]]:
    for job in jobs:
        for attempt in range(1, TRIES + 1):
            result, error = _attempt(function, job)
            if error is None or attempt == TRIES:
                yield result, error
                break
            log.warning("a job failed and is run again: %s", _last_line(error))


def _attempt(function: Callable[[J], R], job: J) -> tuple[R | None, str | None]:
    try:
        return function(job), None
    except Stop:
        raise
    except Exception:
        return None, traceback.format_exc()


def _last_line(error: str) -> str:
    return error.strip().rsplit("\n", 1)[-1]


@dataclass(slots=True)
class _Worker:
    """A process, our end of its pipe, and the (job, attempt) it has in hand."""

    process: Any
    pipe: Any
    task: tuple[Any, int]


def _pooled(function: Callable[[J], R], jobs: Iterable[J], count: int) -> Iterator[tuple[Any, str | None]]:
    """Workers take one job at a time; a dead one is replaced, and only its own job counts as failed."""
    coming, again, busy = iter(jobs), [], {}
    idle: list[_Worker] = []
    try:
        while True:
            while len(busy) < count and (task := _next_task(coming, again)) is not None:
                worker = idle.pop() if idle else _start(function)
                _give(worker, task)
                busy[worker.pipe] = worker
            if not busy:
                return
            for pipe in connection.wait(list(busy)):
                worker = busy.pop(pipe)
                result, error = _take(worker)
                if worker.process is not None:
                    idle.append(worker)
                job, attempt = worker.task
                if error is not None and attempt < TRIES:
                    log.warning("a job failed and is run again: %s", _last_line(error))
                    again.append((job, attempt + 1))
                else:
                    yield result, error
    finally:
        for worker in [*busy.values(), *idle]:
            worker.process.terminate()
        for worker in [*busy.values(), *idle]:
            worker.process.join()


def _next_task(coming: Iterator[J], again: list[tuple[J, int]]) -> tuple[J, int] | None:
    if again:
        return again.pop(0)
    job = next(coming, None)
    return None if job is None else (job, 1)


def _start(function: Callable) -> _Worker:
    context = get_context("spawn")  # no inherited pipes: that is how each side learns of the other's death
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours, (None, 0))


def _give(worker: _Worker, task: tuple[Any, int]) -> None:
    worker.task = task
    with suppress(OSError):  # it died while idle: reading its pipe says so
        worker.pipe.send(task[0])


def _take(worker: _Worker) -> tuple[Any, str | None]:
    """A worker's answer; a worker that died is forgotten and its job has failed."""
    try:
        result, error = worker.pipe.recv()
    except (EOFError, OSError):
        worker.process.join()
        code, worker.process = worker.process.exitcode, None
        return None, f"its worker died (exit code {code})"
    if isinstance(error, Stop):
        raise error
    return result, error


def _serve(pipe: Any, function: Callable) -> None:
    """A worker's life: jobs in, (result, error) out, until the pipe closes or the launcher dies."""
    threading.Thread(target=_die_with_launcher, daemon=True).start()
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            answer = _attempt(function, job)
        except Stop as stop:
            answer = (None, stop)
        pipe.send(answer)


def _die_with_launcher() -> None:
    """A worker that outlived its launcher would write into a folder that the next run also writes."""
    launcher = parent_process()
    if launcher is not None:
        connection.wait([launcher.sentinel])
        os._exit(1)
