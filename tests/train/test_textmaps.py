"""Depth in polygons against shapely, and shrinking that growing undoes."""

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from train import textmaps
from train.textmaps import around, border, depth, grown, inset, kernel, outset, within

coordinate = st.floats(-3, 23, width=32)
points = st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=6)
L_SHAPE = np.array([(0, 0), (10, 0), (10, 2), (2, 2), (2, 8), (0, 8)], float)
shrinking = st.floats(0.2, 0.9)


def rotated(width, height, angle):
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    c, s = np.cos(angle), np.sin(angle)
    return flat @ np.array([[c, s], [-s, c]]) + np.array([20, 15])


@given(points)
def test_depth_is_the_distance_to_the_outline(corners):
    shape = shapely.Polygon(corners)
    if not shape.is_valid or shape.area < 1e-3:
        return
    y, x = np.meshgrid(np.arange(20) + 0.5, np.arange(20) + 0.5, indexing="ij")
    where = shapely.points(x, y)
    gap = shapely.distance(shape.exterior, where)
    right = np.where(shapely.contains(shape, where), gap, -gap)
    assert np.abs(depth(np.array(corners), x, y) - right).max() < 1e-6


def test_depth_knows_hollows():
    assert depth(L_SHAPE, np.array([1.0, 5.0]), np.array([1.0, 5.0])).tolist() == [1.0, -3.0]


@pytest.mark.parametrize("way", [1, -1])
def test_a_square_keeps_the_share_of_the_paper(way):
    square = rotated(10, 10, 0)[::way]
    assert inset(square, 0.4) == pytest.approx(100 * (1 - 0.16) / 40)


@given(st.floats(1, 200), st.floats(1, 50), shrinking, st.floats(-3, 3))
def test_growing_undoes_shrinking(width, height, shrink, angle):
    word = rotated(width, height, angle)
    distance = inset(word, shrink)
    assert distance < min(width, height) / 2
    assert outset(width - 2 * distance, height - 2 * distance, shrink) == pytest.approx(distance, rel=1e-6)
    along, down = (word[1] - word[0]) / width, (word[2] - word[1]) / height
    small = word + distance * np.stack([along + down, down - along, -along - down, along - down])
    assert np.allclose(grown(small, shrink, 1.0), word, atol=1e-6)
    assert np.allclose(grown(small, shrink, 0.0), small, atol=1e-6)


@pytest.mark.parametrize("ends", [[(2, 3), (6, 3), (6, 3), (2, 3)], [(4, 1), (4, 1), (4, 5), (4, 5)]])
def test_a_row_of_centres_grows_into_its_cells(ends):
    (a, b), (c, d) = np.min(ends, 0) - 0.5, np.max(ends, 0) + 0.5
    assert grown(np.array(ends, float), 0.6, 0.0, 0.5).tolist() == [[a, b], [c, b], [c, d], [a, d]]
    assert np.isfinite(grown(np.zeros((4, 2)), 0.6, 1.0, 0.5)).all()


def test_a_cell_holds_the_share_of_itself_that_a_kernel_covers():
    word = np.array([(2.0, 1.0), (12.0, 1.0), (12.0, 7.0), (2.0, 7.0)])
    place = around(word, 0, (9, 14))
    assert place == (slice(1, 7), slice(2, 12))
    found = kernel(within(word, place), 1.25)  # the kernel: x from 3.25 to 10.75, y from 2.25 to 5.75
    assert found[:, 4].tolist() == [0.0, 0.75, 1.0, 1.0, 0.75, 0.0]
    assert found[2].tolist() == [0.0, 0.75, *[1.0] * 6, 0.75, 0.0]


def test_a_border_is_highest_upon_the_outline():
    assert border(np.array([-9.0, -2, -1, 0, 1, 2, 9]), 2.0).tolist() == pytest.approx(
        [0.3, 0.3, 0.5, 0.7, 0.5, 0.3, 0.3]
    )


def test_cells_beyond_the_grid_are_left_out():
    assert around(L_SHAPE + np.array([8, -5]), 1.5, (6, 12)) == (slice(0, 5), slice(6, 12))
    assert around(L_SHAPE - 40, 1.5, (6, 12)) == (slice(0, 0), slice(0, 0))
    assert textmaps.within(L_SHAPE, (slice(0, 0), slice(0, 3))).shape == (0, 3)
