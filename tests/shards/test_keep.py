"""Keeping canvases changes no pixel, stays within its bound and never keeps damage."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from shards.engines import Canvases
from shards.image import ImageSpec
from shards.keep import Keeping

SAMPLES = 20


class Counting:
    """A double for an engine: canvas = position; position 3 is damaged."""

    triple = "counting"

    def __init__(self):
        self.image, self.asked = ImageSpec(2, 5), []

    def read(self, positions):
        self.asked += list(positions)
        pixels = np.tile(np.asarray(positions, np.uint8)[:, None, None, None], (1, 1, 2, 5))
        affines = np.tile(np.asarray(positions, float)[:, None, None], (1, 2, 3))
        return Canvases(pixels, affines, {i: "broken" for i, p in enumerate(positions) if p == 3})


@given(
    st.lists(st.lists(st.integers(0, SAMPLES - 1), min_size=1, max_size=8), max_size=6), st.integers(0, 12)
)
def test_what_is_kept_is_what_the_engine_gave(batches, bound):
    engine = Counting()
    keeping = Keeping(engine, SAMPLES, 1)
    keeping.bound = bound
    for positions in batches:
        found, wanted = keeping.read(np.array(positions)), Counting().read(positions)
        assert np.array_equal(found.pixels, wanted.pixels)
        assert np.array_equal(found.affines, wanted.affines)
        assert found.damage == wanted.damage
    kept = np.flatnonzero(keeping._known)
    assert all(p < bound and p != 3 for p in kept)


def test_a_kept_canvas_is_not_read_again():
    engine = Counting()
    keeping = Keeping(engine, SAMPLES, 1)
    for _ in range(3):
        keeping.read(np.array([1, 3, 5]))
    assert engine.asked == [1, 3, 5, 3, 3]
    assert keeping.triple == "counting"


def test_the_bound_follows_from_the_megabytes():
    engine = Counting()
    engine.image = ImageSpec(100, 100)
    assert Keeping(engine, 1000, 1).bound == 100
    assert Keeping(engine, 50, 1).bound == 50
