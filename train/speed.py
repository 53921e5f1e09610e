"""Images per second, and how much of the time was spent waiting for data."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from shards.loader import Batch


class Speed:
    """Images per second and the share of time spent waiting for data, over the present epoch."""

    def __init__(self, batch: int) -> None:
        self.batch, self.batches, self.waited, self.start = batch, 0, 0.0, time.monotonic()

    def waits(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches, with the time spent on getting each one counted."""
        while True:
            with self._waiting():
                batch = next(batches, None)
            if batch is None:
                return
            yield batch

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        before = time.monotonic()
        yield
        self.waited += time.monotonic() - before

    def figures(self) -> tuple[float, float]:
        """(images per second over all processes, share of the time spent waiting); counts one more step."""
        self.batches += 1
        spent = max(time.monotonic() - self.start, 1e-9)
        return self.batches * self.batch / spent, self.waited / spent
