"""Ray: a cluster, or a Ray of its own on this machine. Needs the extra `ray`.

python -m ingest.shard source=mjsynth root=/shared/mjsynth.tar out=/shared/shards executor=ray address=auto
python -m ingest.shard source=rendered out=DIR executor=ray workers=4

Every machine must have the package, and see root= and out= where the others see them. A worker stands in the
folder in which the command was typed.
"""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from ingest.executors import Pool
from ingest.mapping import Task, attempt, died
from shards.errors import BadSettings

STORE = 100_000_000  # bytes of a Ray of our own for what jobs answer, which is little
QUEUED = 2  # tasks under way for each core of a cluster: what waits makes it grow
EXTRA = "pip install 'ocr-distillery[ray]'"


@dataclass(frozen=True)
class Settings:
    """Where the cluster is."""

    address: str = (
        ""  # empty: starts a Ray here; auto: the cluster of this machine; HOST:PORT or ray://HOST:PORT
    )


def opened(settings: Settings, function: Callable[[Any], Any], workers: int, jobs: int) -> Pool:
    """A pool of Ray tasks; a BadSettings where Ray or its cluster cannot be had.

    Our own Ray has `workers` cores; on a cluster as many tasks are under way, 0 = twice its present cores.
    """
    try:
        import ray
    except ImportError:
        raise BadSettings(f"executor=ray: Ray is not installed; type {EXTRA}") from None
    if settings.address:
        _join(ray, settings.address)
        return Tasks(ray, function, workers)
    count = min(workers or os.cpu_count() or 1, max(jobs, 1))
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        "local", num_cpus=count, include_dashboard=False, object_store_memory=STORE, log_to_driver=False,
        logging_level=logging.ERROR,
    )  # fmt: skip
    return Tasks(ray, function, count)


def _join(ray: ModuleType, address: str) -> None:
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
        raise BadSettings(
            f"address={address}: no Ray cluster answers there ({str(error).splitlines()[0]}); "
            "ray start --head makes one, an empty address= starts a Ray here; a token is taken "
            "from RAY_AUTH_TOKEN, with RAY_AUTH_MODE=token"
        ) from None


class Tasks:
    """A task for every job, each with a core of its own. Ray is left when the pool is closed."""

    def __init__(self, ray: ModuleType, function: Callable[[Any], Any], count: int) -> None:
        self.ray, self.count = ray, count
        self.run = ray.remote(num_cpus=1, max_retries=0)(_there)
        self.function, self.folder = function, os.getcwd()
        self.busy: dict[Any, Task] = {}

    @property
    def free(self) -> int:
        """So many tasks more as are wanted under way."""
        # a cluster that grows may begin without any core
        wanted = self.count or QUEUED * max(1, int(self.ray.cluster_resources().get("CPU", 0)))
        return wanted - len(self.busy)

    def give(self, task: Task) -> None:
        """Queues a task."""
        self.busy[self.run.remote(self.folder, self.function, task.job)] = task

    def take(self) -> Iterator[tuple[Any, Any, Any]]:
        """The answer of the next task that is done; Ray's own errors are those of a worker that was lost."""
        (done, *_), _ = self.ray.wait(list(self.busy), num_returns=1)
        task = self.busy.pop(done)
        try:
            result, error = self.ray.get(done)
        except self.ray.exceptions.RayError as lost:
            result, error = None, died(str(lost).strip().splitlines()[0])
        yield task, result, error

    def close(self) -> None:
        """Ends what is under way; a Ray of our own ends with it."""
        for task in self.busy:
            self.ray.cancel(task, force=True)
        self.ray.shutdown()


def _there(folder: str, function: Callable[[Any], Any], job: Any) -> tuple[Any, Any]:
    """What a worker does: paths are relative to the folder of the command, on every machine."""
    os.chdir(folder)
    return attempt(function, job)
