"""Batching: what waits while a batch is read is read together; one that fails, fails alone."""

from concurrent.futures import CancelledError
from threading import Event, get_ident

import pytest

from train.servebatch import Batcher


class Held:
    """Doubles numbers; the first batch waits until it is let go."""

    def __init__(self):
        self.entered, self.go, self.batches, self.threads = Event(), Event(), [], set()

    def __call__(self, numbers):
        self.batches.append(list(numbers))
        self.threads.add(get_ident())
        self.entered.set()
        assert self.go.wait(60)
        if 13 in numbers:
            raise ValueError("thirteen")
        return [2 * number for number in numbers]


@pytest.fixture
def held():
    return Held()


@pytest.fixture
def batcher(held):
    made = Batcher(held, 4)
    yield made
    held.go.set()
    made.close()


def test_what_waits_while_a_batch_is_read_is_read_together_in_its_order(held, batcher):
    futures = [batcher.submit(0)]
    assert held.entered.wait(60)
    futures += [batcher.submit(number) for number in range(1, 7)]
    assert batcher.waiting == 6
    held.go.set()
    assert [future.result(60) for future in futures] == [0, 2, 4, 6, 8, 10, 12]
    assert held.batches == [[0], [1, 2, 3, 4], [5, 6]]
    assert len(held.threads) == 1


def test_a_picture_waits_for_others_to_fill_the_batch(held):
    held.go.set()
    batcher = Batcher(held, 3, wait=60)
    assert [future.result(60) for future in [batcher.submit(number) for number in range(3)]] == [0, 2, 4]
    assert held.batches == [[0, 1, 2]]
    batcher.close()


def test_one_that_fails_fails_alone(held, batcher):
    first = batcher.submit(0)
    assert held.entered.wait(60)
    futures = [batcher.submit(number) for number in (1, 13, 2)]
    held.go.set()
    assert [first.result(60), futures[0].result(60), futures[2].result(60)] == [0, 2, 4]
    with pytest.raises(ValueError, match="thirteen"):
        futures[1].result(60)


def test_what_nobody_waits_for_any_more_is_not_read(held, batcher):
    batcher.submit(0)
    assert held.entered.wait(60)
    given_up, kept = batcher.submit(1), batcher.submit(2)
    assert given_up.cancel()
    held.go.set()
    assert kept.result(60) == 4
    assert [1] not in held.batches
    assert all(1 not in batch for batch in held.batches)
    with pytest.raises(CancelledError):
        given_up.result(60)


def test_closing_answers_what_was_asked_before(held):
    batcher = Batcher(held, 2)
    futures = [batcher.submit(number) for number in range(5)]
    held.go.set()
    batcher.close()
    assert [future.result(0) for future in futures] == [0, 2, 4, 6, 8]
