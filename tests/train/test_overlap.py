"""Areas that polygons share, against shapely and by hand."""

import math

import numpy as np
import pytest
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from train.overlap import Polygons, areas, hulls, shared, upright

SQUARE = [(0, 0), (4, 0), (4, 4), (0, 4)]
DART = [(0, 0), (8, 2), (0, 4), (2, 2)]
BOW = [(0, 0), (4, 4), (4, 0), (0, 4)]
FLAT = [(0, 0), (2, 2), (4, 4), (1, 1)]

coordinates = st.integers(0, 12) | st.floats(0, 12, width=32)
corners = st.tuples(coordinates, coordinates)
quads = st.lists(corners, min_size=4, max_size=4)


@st.composite
def stars(draw):
    """Simple polygons of 4 to 9 corners, often dented."""
    n = draw(st.integers(4, 9))
    radii = draw(st.lists(st.floats(0.3, 6), min_size=n, max_size=n))
    x, y, phase = draw(coordinates), draw(coordinates), draw(st.floats(0, 1))
    turns = [2 * math.pi * (i + phase) / n for i in range(n)][:: draw(st.sampled_from([1, -1]))]
    return [(x + r * math.cos(t), y + r * math.sin(t)) for r, t in zip(radii, turns, strict=True)]


def one(a, b) -> float:
    return float(shared(Polygons.of([a]), Polygons.of([b]), np.array([0]), np.array([0]))[0])


@pytest.mark.parametrize(
    ("a", "b", "area"),
    [
        (SQUARE, SQUARE, 16),
        (SQUARE, SQUARE[::-1], 16),
        (SQUARE, [(4, 0), (8, 0), (8, 4), (4, 4)], 0),
        (SQUARE, [(2, -1), (3, -1), (3, 5), (2, 5)], 4),
        (SQUARE, [(1, 1), (2, 1), (2, 2), (1, 2)], 1),
        (SQUARE, [(2, -2), (6, 2), (2, 6), (-2, 2)], 16),
        (DART, DART, 12),
        (DART, [(0, 1), (2, 1), (2, 3), (0, 3)], 1),
    ],
)
def test_areas_by_hand(a, b, area):
    assert one(a, b) == pytest.approx(area, abs=1e-12)
    assert one(b, a) == pytest.approx(area, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(st.lists(stars() | quads, min_size=1, max_size=4), st.lists(stars() | quads, min_size=1, max_size=4))
def test_shared_areas_are_those_of_shapely(first, second):
    known = [
        [p for p in some if shapely.Polygon(p).is_valid and shapely.Polygon(p).area > 1e-6]
        for some in (first, second)
    ]
    a, b = (Polygons.of(some) for some in known)
    assert a.sound().all()
    assert b.sound().all()
    i, j = (grid.ravel() for grid in np.indices((len(known[0]), len(known[1]))))
    right = [
        shapely.Polygon(known[0][x]).intersection(shapely.Polygon(known[1][y])).area
        for x, y in zip(i, j, strict=True)
    ]
    np.testing.assert_allclose(shared(a, b, i, j), right, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.abs(a.areas()), [shapely.Polygon(p).area for p in known[0]], rtol=1e-9)


@settings(max_examples=60, deadline=None)
@given(quads)
def test_a_quad_of_any_order_has_the_hull_of_its_points(points):
    hull = hulls(torch.tensor([points], dtype=torch.float64))
    assert float(areas(hull)[0]) == pytest.approx(shapely.MultiPoint(points).convex_hull.area, abs=1e-6)


@settings(max_examples=200, deadline=None)
@given(
    st.integers(4, 7).flatmap(
        lambda n: st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=n, max_size=n)
    )
)
def test_what_shapely_calls_valid_is_sound(points):
    shape = shapely.Polygon(points)
    assert Polygons.of([points]).sound().tolist() == [shape.is_valid and shape.area > 0]


def test_what_cannot_be_measured_is_told():
    found = Polygons.of([SQUARE, DART, BOW, FLAT, None, SQUARE[:1] * 2 + SQUARE[1:3]])
    assert found.sound().tolist() == [True, True, False, False, False, True]


def test_boxes_stand_around_polygons():
    found = Polygons.of([DART, None, BOW]).boxes()
    assert found[[0, 2]].tolist() == [[0, 0, 8, 4], [0, 0, 4, 4]]
    assert upright(found).counts.tolist() == [4, 0, 4]
    assert upright(found).areas().tolist() == [32, 0, 16]
