"""Processes of this machine; with one worker, this process.

python -m ingest.shard source=rendered out=DIR workers=8
"""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import connection, get_context, parent_process
from typing import Any

from ingest.executors import Pool
from ingest.mapping import Task, attempt, died


@dataclass(frozen=True)
class Settings:
    """`workers` is all there is to choose."""


def opened(settings: Settings, function: Callable[[Any], Any], workers: int, jobs: int) -> Pool:
    """A pool of processes, or this one where there would be one."""
    count = min(workers or os.cpu_count() or 1, jobs)
    return Inline(function) if count <= 1 else Processes(function, count)


class Inline:
    """This process, one task at a time."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function, self.tasks = function, []

    @property
    def free(self) -> int:
        """One, if there is none."""
        return 1 - len(self.tasks)

    def give(self, task: Task) -> None:
        """Keeps it until `take`."""
        self.tasks.append(task)

    def take(self) -> Iterator[tuple[Any, Any, Any]]:
        """Runs it."""
        task = self.tasks.pop()
        yield task, *attempt(self.function, task.job)

    def close(self) -> None:
        """Nothing is under way."""


@dataclass(slots=True)
class _Worker:
    """A process, our end of its pipe, and the task it has in hand."""

    process: Any
    pipe: Any
    task: Any = None


class Processes:
    """Workers take one job at a time; a dead one is replaced, and only its own job counts as failed."""

    def __init__(self, function: Callable[[Any], Any], count: int) -> None:
        self.function, self.count = function, count
        self.busy: dict[Any, _Worker] = {}
        self.idle: list[_Worker] = []

    @property
    def free(self) -> int:
        """How many workers have nothing in hand, those to be started included."""
        return self.count - len(self.busy)

    def give(self, task: Task) -> None:
        """Hands a task to a worker."""
        worker = self.idle.pop() if self.idle else _start(self.function)
        worker.task, self.busy[worker.pipe] = task, worker
        with suppress(OSError):  # it died while idle: reading its pipe says so
            worker.pipe.send(task.job)

    def take(self) -> Iterator[tuple[Any, Any, Any]]:
        """The answers of workers that are done; a worker that died is forgotten and its job has failed."""
        for pipe in connection.wait(list(self.busy)):
            worker = self.busy.pop(pipe)
            try:
                result, error = worker.pipe.recv()
                self.idle.append(worker)
            except (EOFError, OSError):
                worker.process.join()
                result, error = None, died(f"exit code {worker.process.exitcode}")
            yield worker.task, result, error

    def close(self) -> None:
        """Ends all workers."""
        for worker in [*self.busy.values(), *self.idle]:
            worker.process.terminate()
        for worker in [*self.busy.values(), *self.idle]:
            worker.process.join()


def _start(function: Callable[[Any], Any]) -> _Worker:
    context = get_context("spawn")  # no inherited pipes: that is how each side learns of the other's death
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, function), daemon=True)
    process.start()
    theirs.close()
    return _Worker(process, ours)


def _serve(pipe: Any, function: Callable[[Any], Any]) -> None:
    """A worker's life: jobs in, (result, error) out, until the pipe closes or the launcher dies."""
    threading.Thread(target=_die_with_launcher, daemon=True).start()
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        pipe.send(attempt(function, job))


def _die_with_launcher() -> None:
    """A worker that outlived its launcher would write into a folder that the next run also writes."""
    launcher = parent_process()
    if launcher is not None:
        connection.wait([launcher.sentinel])
        os._exit(1)
