"""Child processes: jobs are commands, one after the other; as many jobs at a time as there are slots.

`work` maps a lazy iterator of jobs to their endings and knows nothing of trials; another way to launch them
(a cluster's queue) is another function of this signature. Each command leads a process group, which is what
is stopped. A log is locked while a process writes to it: so a job is waited for whose processes outlived
their search.
"""

import contextlib
import fcntl
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

POLL = 0.1  # seconds between looks at the children
GRACE = 120.0  # seconds a child has for saving its state before it is killed
STOPPED = "the search was stopped"


@dataclass(frozen=True, slots=True)
class Job:
    """Commands to run in their order, each if those before it ended with 0."""

    name: str
    commands: tuple[tuple[str, ...], ...]
    log: Path
    limit: float = float("inf")  # seconds for all of them
    environment: Mapping[str, str] = field(default_factory=dict)  # beside that of this process


@dataclass(frozen=True, slots=True)
class Ending:
    """How a job ended. code: of the last command, negative for a signal; stopped: why it was, if it was."""

    code: int
    seconds: float
    stopped: str = ""


class Child:
    """A running job."""

    def __init__(self, job: Job, log: IO[bytes], slot: int, environment: Mapping[str, str]) -> None:
        self.job, self.log, self.slot, self.stopped = job, log, slot, ""
        self._left, self._begun, self._killing = list(job.commands), time.monotonic(), float("inf")
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **environment, **job.environment}
        self._next()

    def _next(self) -> None:
        command = self._left.pop(0)
        self.log.write(f"$ {shlex.join(command)}\n".encode())
        self.log.flush()
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT,
            env=self._environment, start_new_session=True,
        )  # fmt: skip

    def ended(self) -> Ending | None:
        """The ending, once there is one; starts the next command and stops one that takes too long."""
        code, now = self._process.poll(), time.monotonic()
        if code == 0 and self._left and not self.stopped:
            return self._next()
        if code is not None:
            self._signal(signal.SIGKILL)  # what it left behind
            self.log.close()
            return Ending(code, now - self._begun, self.stopped)
        if now - self._begun > self.job.limit:
            self.stop(f"the limit of {self.job.limit:.0f} s")
        if now > self._killing:
            self._signal(signal.SIGKILL)
        return None

    def stop(self, reason: str) -> None:
        """Asks the processes to save and stop; they are killed after GRACE."""
        if not self.stopped:
            self.stopped, self._killing = reason, time.monotonic() + GRACE
            self._signal(signal.SIGTERM)

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


def work(
    jobs: Iterator[Job], environments: Sequence[Mapping[str, str]], asked: Callable[[], bool],
    watch: Callable[[Sequence[Job]], None],
) -> Iterator[tuple[Job, Ending]]:  # fmt: skip
    """Runs jobs, one to an environment at a time, and yields each as it ends.

    The next job is taken only when there is room for it. asked: whether to stop: then no job is taken any
    more, and those that run are stopped and yielded. watch: is called with the running jobs, now and then.
    """
    running: list[Child] = []
    try:
        while True:
            while not asked() and (child := _start(jobs, running, environments, asked)):
                running.append(child)
            if not running:
                return
            if asked():
                for child in running:
                    child.stop(STOPPED)
            watch([child.job for child in running])
            time.sleep(POLL)
            for child in tuple(running):
                if ending := child.ended():
                    running.remove(child)
                    yield child.job, ending
    finally:
        for child in running:  # where the caller failed
            child.stop(STOPPED)


def _start(
    jobs: Iterator[Job], running: Sequence[Child], environments: Sequence[Mapping[str, str]],
    asked: Callable[[], bool],
) -> Child | None:  # fmt: skip
    """The next job, begun; None if there is no room or no job."""
    free = set(range(len(environments))) - {child.slot for child in running}
    job = next(jobs, None) if free else None
    log = _log(job.log, asked) if job else None
    return Child(job, log, min(free), environments[min(free)]) if job and log else None


def _log(path: Path, asked: Callable[[], bool]) -> IO[bytes] | None:
    """The log, opened and locked; None if this was to stop before the log was free."""
    path.parent.mkdir(parents=True, exist_ok=True)
    log = open(path, "ab")  # noqa: SIM115 (closed when its child ends)
    while not asked():
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(log, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return log
        time.sleep(POLL)
    log.close()
    return None


def environments(slots: int, threads: int, cores: int, gpus: Sequence[str]) -> list[dict[str, str]]:
    """What the processes of each slot are told: their share of the cores, and one of several GPUs."""
    share = {"OMP_NUM_THREADS": str(threads or max(1, cores // slots))}
    spread = slots > 1 and len(gpus) > 1
    return [
        {**share, **({"CUDA_VISIBLE_DEVICES": gpus[slot % len(gpus)]} if spread else {})}
        for slot in range(slots)
    ]


def gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them."""
    import torch

    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    found = told.split(",") if told else [str(i) for i in range(torch.cuda.device_count())]
    return found[: torch.cuda.device_count()]


def last_words(log: Path, mark: str = "$ ") -> str:
    """The last line that the newest command in a log printed; an error without its `error: `."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    said = next((line for line in reversed(lines) if line.strip()), "")
    return "" if said.startswith(mark) else said.strip().removeprefix("error: ")
