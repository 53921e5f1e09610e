"""Regions against a search by flooding."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from shards.geometry import rectangle
from train.regions import Regions

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=12))


def flooded(inside):
    """The regions as sets of cells (row, column), by side and by corner."""
    left, found = set(zip(*map(np.ndarray.tolist, np.nonzero(inside)), strict=True)), []
    while left:
        region, edge = set(), {left.pop()}
        while edge:
            region |= edge
            near = {(r + i, c + j) for r, c in edge for i in (-1, 0, 1) for j in (-1, 0, 1)}
            edge = near & left
            left -= edge
        found.append(frozenset(region))
    return set(found)


def cells(regions, which):
    runs = np.flatnonzero(regions.owners == which)
    return frozenset(
        (int(regions.rows[i]), c) for i in runs for c in range(int(regions.starts[i]), int(regions.ends[i]))
    )


@given(masks)
def test_cells_that_touch_are_one_region(inside):
    regions, right = Regions.of(inside), flooded(inside)
    found = [cells(regions, k) for k in range(len(regions))]
    assert len(found) == len(right)
    assert set(found) == right


@given(masks, st.integers(0, 99))
def test_sizes_and_sums_are_of_the_cells(inside, seed):
    values = np.random.default_rng(seed).random(inside.shape)
    regions = Regions.of(inside)
    for k, (size, total) in enumerate(zip(regions.sizes(), regions.sums(values), strict=True)):
        there = cells(regions, k)
        assert size == len(there)
        assert np.isclose(total, sum(values[cell] for cell in there))


def test_long_chains_are_one_region():
    comb = np.zeros((40, 81), bool)
    comb[:, ::2] = comb[-1] = True  # teeth that meet in the last row alone
    assert len(Regions.of(comb)) == 1
    assert len(Regions.of(comb[:-1])) == 41


def test_the_ends_of_a_region_go_round_its_cells():
    inside = np.zeros((6, 9), bool)
    inside[2:4, 3:8] = True
    corners = sorted(rectangle(Regions.of(inside).ends_of(0)))
    assert corners == [(3.5, 2.5), (3.5, 3.5), (7.5, 2.5), (7.5, 3.5)]
    assert Regions.of(np.zeros((3, 3), bool)).sizes().tolist() == []
