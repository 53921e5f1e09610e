"""Seam: one file per place where jobs run.

A member offers `Settings` (a dataclass whose keys stand flat beside `ingest.shard`'s own) and
`opened(settings, function, workers, jobs)` -> Pool, for so many jobs (0 workers = one per core). A pool knows
nothing of retries or shards: `ingest.mapping` gives it tasks and takes their outcomes.
"""

from collections.abc import Iterable
from typing import Any, Protocol


class Pool(Protocol):
    """Where a function is applied to jobs."""

    @property
    def free(self) -> int:
        """How many more tasks it takes now."""
        ...

    def give(self, task: Any) -> None:
        """Starts a task (`.job`)."""
        ...

    def take(self) -> Iterable[tuple[Any, Any, Any]]:
        """Waits for at least one: (task, result, None), or (task, None, what went wrong).

        What went wrong is a text (an accident: the task may be given again) or a Stop.
        """
        ...

    def close(self) -> None:
        """Ends all that is under way."""
        ...
