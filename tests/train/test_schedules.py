"""The rate as a share of its peak: tables, and what holds for every schedule."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards import lookup
from shards.errors import BadSettings

NAMES = lookup.members("train.schedules")


def member(name):
    return lookup.find("train.schedules", name)


def share(name, step, steps, **more):
    return member(name).share(member(name).Settings(**more), step, steps)


@pytest.mark.parametrize(
    ("name", "more", "step", "wanted"),
    [
        ("cosine", {"warmup": 0.2, "floor": 0.1}, 0, 0.25),  # four steps of rise: the first already moves
        ("cosine", {"warmup": 0.2, "floor": 0.1}, 3, 1.0),
        ("cosine", {"warmup": 0.2, "floor": 0.1}, 4, 1.0),  # the cosine begins at the peak
        ("cosine", {"warmup": 0.2, "floor": 0.1}, 4 + 15 / 2, 0.1 + 0.9 / 2),
        ("cosine", {"warmup": 0.2, "floor": 0.1}, 19, 0.1),  # the last step has the floor
        ("cosine", {"warmup": 0.2, "floor": 0.1}, 25, 0.1),
        ("constant", {}, 0, 1.0),
        ("constant", {}, 19, 1.0),
        ("constant", {"warmup": 0.2}, 1, 0.5),
        ("exp", {"warmup": 0.0, "floor": 0.01}, 0, 1.0),
        ("exp", {"warmup": 0.0, "floor": 0.01}, 19 / 2, 0.1),
        ("exp", {"warmup": 0.0, "floor": 0.01}, 19, 0.01),
        ("step", {}, 9, 1.0),
        ("step", {}, 10, 0.1),
        ("step", {}, 15, 0.01),
        ("step", {"at": [], "factor": 0.5}, 19, 1.0),
        ("onecycle", {}, 0, 0.04),
        ("onecycle", {}, 0.3 * 19, 1.0),
        ("onecycle", {}, 19, 4e-6),
        ("onecycle", {"peak": 0.0}, 0, 1.0),
    ],
)
def test_the_share_of_a_step_of_twenty(name, more, step, wanted):
    assert share(name, step, 20, **more) == pytest.approx(wanted)


@pytest.mark.parametrize("name", NAMES)
@given(steps=st.integers(1, 300))
def test_no_share_is_above_the_peak_or_below_nothing_and_one_step_alone_moves(name, steps):
    shares = [share(name, step, steps) for step in range(steps)]
    assert all(0 < s <= 1 + 1e-12 for s in shares)
    assert max(shares[: steps // 2 + 1]) > 0.03


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"step"}))
def test_the_rate_never_jumps(name):
    shares = [share(name, step, 200) for step in range(200)]
    assert max(abs(a - b) for a, b in itertools.pairwise(shares)) <= 0.1 + 1e-12


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("cosine", {"warmup": 1.0}), ("cosine", {"warmup": -0.1}), ("cosine", {"floor": 1.1}),
        ("exp", {"floor": 0.0}),
        ("constant", {"warmup": math.nan}), ("step", {"factor": 2.0}), ("step", {"at": [1.0]}),
        ("onecycle", {"peak": 2.0}),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(name, bad):
    with pytest.raises(BadSettings, match=f"schedule.{next(iter(bad))}"):
        member(name).Settings(**bad)
