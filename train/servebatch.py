"""Dynamic batching: what is asked at about the same time is answered together, by one thread.

The first picture waits a few milliseconds for others; while a batch is answered, the next one gathers. So an
idle server answers at once, and a busy one in batches. Never more than one batch is worked on.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, NamedTuple, TypeVar

Picture = TypeVar("Picture")
Told = TypeVar("Told")


class Asked(NamedTuple):
    """A picture, and where its answer goes."""

    picture: object
    future: Future


class Batcher(Generic[Picture, Told]):
    """Answers pictures in batches of at most `batch`, each at most `wait` seconds after its first picture.

    answers: from pictures to as many answers; called by the thread of this object alone.
    """

    def __init__(
        self, answers: Callable[[Sequence[Picture]], Sequence[Told]], batch: int, wait: float = 0.0
    ) -> None:
        self.answers, self.batch, self.wait = answers, batch, wait
        self._queue: SimpleQueue[Asked | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="reader", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Pictures that no batch has taken."""
        return self._queue.qsize()

    def submit(self, picture: Picture) -> "Future[Told]":
        """The answer to come; it can be cancelled as long as no batch has taken the picture."""
        asked = Asked(picture, Future())
        self._queue.put(asked)
        return asked.future

    def close(self) -> None:
        """Answers what was asked before, and ends the thread."""
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        last = False
        while not last:
            gathered = self._gathered()
            last = gathered[-1] is None
            self._answer([one for one in gathered if one and one.future.set_running_or_notify_cancel()])

    def _gathered(self) -> list[Asked | None]:
        """What is there or comes in time; None is the last there will be."""
        found = [self._queue.get()]
        until = time.monotonic() + self.wait
        while found[-1] and len(found) < self.batch:
            try:
                found.append(self._queue.get(timeout=max(0.0, until - time.monotonic())))
            except Empty:
                break
        return found

    def _answer(self, asked: list[Asked]) -> None:
        """Where a batch fails, each picture is asked alone, so that it fails by none but itself."""
        if not asked:
            return
        try:
            told = self.answers([one.picture for one in asked])  # pyright: ignore[reportArgumentType]
        except Exception as error:
            if len(asked) == 1:
                asked[0].future.set_exception(error)
                return
            for one in asked:
                self._answer([one])
            return
        for one, answer in zip(asked, told, strict=True):
            one.future.set_result(answer)
