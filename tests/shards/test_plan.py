"""Contract 3, the order: every key once, the same for any number of ranks, resumable by two integers."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards import keyed
from shards.errors import BadSettings
from shards.plan import Plan, held_out

plans = st.builds(
    lambda n, batch, seed, shuffle, window, buckets: Plan(
        np.arange(n) * 7 + (3 << 40), batch, seed, shuffle, window, np.arange(n) // 10,
        buckets and np.arange(n) * 5 % 13 % buckets,
    ),
    st.integers(1, 90),
    st.integers(1, 24),
    st.integers(0, 5),
    st.booleans(),
    st.none() | st.integers(1, 4),
    st.none() | st.integers(1, 5),
)  # fmt: skip


@given(plans, st.integers(0, 3), st.sampled_from([1, 2, 3, 4]))
def test_every_key_comes_once_per_epoch_over_all_ranks(plan, epoch, world):
    seen = []
    for rank in range(world):
        for part in plan.parts(epoch, rank=rank, world=world):
            seen += plan.uids[part.positions[part.valid]].tolist()
    assert sorted(seen) == sorted(plan.uids.tolist())


@given(plans, st.integers(0, 3), st.sampled_from([2, 3, 4]))
def test_the_sample_sequence_does_not_depend_on_the_number_of_ranks(plan, epoch, world):
    for step in range(plan.steps):
        parts = [plan.part(epoch, step, rank, world) for rank in range(world)]
        joined = np.concatenate([p.positions[p.valid] for p in parts])
        assert joined.tolist() == plan.batch(epoch, step).tolist()
        assert {p.valid_globally for p in parts} == {len(joined)}
        assert len({len(p.positions) for p in parts}) == 1


@given(plans, st.integers(0, 2), st.integers(0, 5))
def test_resuming_at_a_step_gives_the_rest_of_the_epoch(plan, epoch, step):
    whole = [p.positions.tolist() for p in plan.parts(epoch)]
    assert [p.positions.tolist() for p in plan.parts(epoch, step)] == whole[step:]


@given(plans, st.integers(1, 5))
def test_micro_batches_are_the_batch_in_pieces(plan, n):
    part = plan.part(0, 0)
    pieces = part.split(n)
    assert np.concatenate([p.positions for p in pieces]).tolist() == part.positions.tolist()
    assert all(p.valid_globally == part.valid_globally for p in pieces)


def test_the_order_changes_with_epoch_and_seed_and_not_with_anything_else():
    uids = np.arange(1000)
    order = Plan(uids, 10, seed=1).order(0).tolist()
    assert order == Plan(uids, 64, seed=1).order(0).tolist()
    assert order != Plan(uids, 10, seed=1).order(1).tolist()
    assert order != Plan(uids, 10, seed=2).order(0).tolist()
    assert sorted(order) == uids.tolist()


def test_a_window_mixes_that_many_shards_and_no_more():
    shard = np.arange(100) // 10
    order = Plan(np.arange(100), 10, window=2, shard=shard).order(3)
    for start in range(0, 100, 20):
        assert len(set(shard[order[start : start + 20]])) == 2
    assert order[:20].tolist() != sorted(order[:20].tolist())


def test_rows_that_fill_the_last_batch_are_real_samples_but_not_valid():
    part = Plan(np.arange(5), 4, shuffle=False).part(0, 1)
    assert part.positions.tolist() == [4, 4, 4, 4]
    assert part.valid.tolist() == [True, False, False, False]


def test_the_order_is_the_same_on_every_machine():
    # Golden: a hash decides the order, so this may never change (a student's cache and every resume rest on
    # it).
    assert Plan(np.arange(8) + (5 << 40), 4, seed=3).order(2).tolist() == GOLDEN_ORDER
    assert [int(h) >> 40 for h in keyed.hashed(1, 2, np.arange(3))] == GOLDEN_HASHES


GOLDEN_ORDER = [7, 4, 5, 6, 1, 3, 2, 0]
GOLDEN_HASHES = [402729, 7195135, 4908644]


def test_impossible_batches_are_refused():
    with pytest.raises(BadSettings, match="at least 1"):
        Plan(np.arange(3), 0)


@given(st.lists(st.integers(0, 2**63), min_size=1, max_size=50), st.floats(0.05, 0.95), st.integers(0, 9))
def test_a_held_out_share_never_cuts_a_group(groups, share, seed):
    groups = np.array(groups, np.uint64)
    out = held_out(groups, share, seed)
    assert all(len(set(out[groups == g])) == 1 for g in groups)
    assert (held_out(groups, share, seed) == out).all()


def test_uniform_numbers_are_uniform():
    draws = keyed.uniform(7, np.arange(20000))
    assert abs(draws.mean() - 0.5) < 0.01
    assert abs(draws.std() - 12**-0.5) < 0.01
    assert draws.min() >= 0
    assert draws.max() < 1
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 0.03


@given(plans, st.integers(0, 3))
def test_a_batch_is_of_one_bucket_and_only_a_buckets_last_one_is_short(plan, epoch):
    if plan.bucket is None:
        return
    short = []
    for step in range(plan.steps):
        batch = plan.batch(epoch, step)
        (bucket,) = set(plan.bucket[batch].tolist())
        assert bucket not in short
        short += [bucket] if len(batch) < plan.global_batch else []


def test_batches_of_buckets_come_in_the_order_of_their_first_samples():
    uids, shard = np.arange(1000), np.arange(1000) // 100
    bucket = (uids % 7 == 0).astype(int)
    plan = Plan(uids, 8, seed=2, window=2, shard=shard, bucket=bucket)
    place = np.argsort(plan.order(1))
    firsts = [int(place[plan.batch(1, step)].min()) for step in range(plan.steps)]
    assert firsts == sorted(firsts)
    assert plan.steps == -(-857 // 8) + -(-143 // 8)
    assert plan.batch(1, 0).tolist() != plan.batch(2, 0).tolist()


@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 3))
def test_one_bucket_is_no_bucket(n, batch, epoch):
    plain, one = (Plan(np.arange(n), batch, 3, bucket=bucket) for bucket in (None, np.zeros(n, int)))
    for step in range(plain.steps):
        assert plain.batch(epoch, step).tolist() == one.batch(epoch, step).tolist()
    assert plain.steps == one.steps


@pytest.mark.parametrize(
    ("more", "bytes_each"),
    [({}, 40), ({"window": 4, "shard": 0}, 56), ({"bucket": 0}, 80)],
    ids=["all", "window", "buckets"],
)
def test_planning_takes_few_bytes_a_sample(more, bytes_each):
    count = 4 << 20
    uids = np.arange(count, dtype=np.uint64)
    more |= {key: (uids % 50).astype(np.int32) for key in ("shard", "bucket") if key in more}
    tracemalloc.start()
    plan = Plan(uids, 512, **more)
    for epoch in range(2):
        plan.part(epoch, 7)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < bytes_each * count
