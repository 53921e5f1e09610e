"""Mixtures: quotas by weight, every key once a pass, the same for any number of ranks, resumable."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import BadSettings
from shards.mixture import Mixture, quotas


def mixture(sizes=(50, 7), weights=(3.0, 1.0), batch=8, draws=40, **more) -> Mixture:
    source = np.repeat(np.arange(len(sizes)), sizes)
    return Mixture(np.arange(len(source)) + (9 << 40), source, weights, batch, draws=draws, **more)


def drawn(plan: Mixture, epochs: int, rank: int = 0, world: int = 1) -> list[tuple[int, int]]:
    return [
        (int(position), int(turn))
        for epoch in range(epochs)
        for part in plan.parts(epoch, rank=rank, world=world)
        for position, turn in zip(part.positions[part.valid], part.passes[part.valid], strict=True)
    ]


def test_every_key_comes_once_in_each_pass_of_its_source_across_epochs():
    seen = drawn(mixture(), 7)  # 210 draws of 50 keys, 70 draws of 7 keys
    counts = Counter(seen)
    assert set(counts.values()) == {1}
    assert all(counts[key, turn] == 1 for key in range(50) for turn in range(4))
    assert all(counts[key, turn] == 1 for key in range(50, 57) for turn in range(10))


def test_every_batch_holds_the_sources_in_proportion():
    plan = mixture(sizes=(1000, 20), weights=(0.75, 0.25), batch=16, draws=1600)
    for step in range(plan.steps):
        assert (plan.batch(2, step) >= 1000).sum() == 4


@given(st.sampled_from([1, 2, 3, 4]), st.integers(0, 3), st.integers(0, 5))
def test_ranks_divide_the_same_batches_and_resuming_gives_the_rest(world, epoch, step):
    plan = mixture()
    for s in range(plan.steps):
        parts = [plan.part(epoch, s, rank, world) for rank in range(world)]
        joined = np.concatenate([part.positions[part.valid] for part in parts])
        assert joined.tolist() == plan.batch(epoch, s).tolist()
        turns = np.concatenate([part.passes[part.valid] for part in parts])
        assert turns.tolist() == plan.part(epoch, s).passes[: len(turns)].tolist()
    whole = [part.positions.tolist() for part in plan.parts(epoch)]
    assert [part.positions.tolist() for part in mixture().parts(epoch, step)] == whole[step:]


def test_the_order_of_a_source_does_not_depend_on_its_company():
    alone = mixture(sizes=(50,), weights=(1.0,), draws=50)
    both = drawn(mixture(sizes=(50, 7), weights=(1.0, 1.0), draws=100), 1)
    assert [position for position, _ in both if position < 50] == alone.order(0).tolist()


@given(st.lists(st.floats(0, 10), min_size=1, max_size=6), st.integers(1, 500))
def test_quotas_add_up_and_follow_the_weights(weights, draws):
    if sum(weights) < 1e-6:
        return
    shares = quotas(weights, draws)
    assert shares.sum() == draws
    assert (abs(shares - draws * np.array(weights) / sum(weights)) < 1 + 1e-6).all()


@pytest.mark.parametrize("weights", [(0.0, 0.0), (-1.0, 2.0), (float("nan"), 1.0)])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(BadSettings, match="weights"):
        mixture(weights=weights)


def test_a_weight_for_nothing_is_refused():
    with pytest.raises(BadSettings, match="no samples"):
        mixture(sizes=(5, 0), weights=(1.0, 1.0))
