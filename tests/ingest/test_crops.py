"""Words cut from photos: exact where the quad is upright, faithful where it is turned."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import crops
from ingest.sources import Reject

H, W = 90, 120


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (H, W, 3), np.uint8)


def smooth():
    """A picture of slow waves, which resampling keeps."""
    y, x = np.mgrid[:H, :W]
    waves = [np.sin(x / 9 + k) * np.cos(y / (7 + k)) for k in range(3)]
    return np.uint8(127 + 100 * np.stack(waves, -1))


def upright(left, top, right, bottom):
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


@given(
    x=st.integers(-30, W + 30), y=st.integers(-30, H + 30), wide=st.integers(1, 80), tall=st.integers(1, 80)
)
def test_an_upright_quad_gives_the_photos_own_pixels_by_either_rule(x, y, wide, tall):
    photo, quad = noise(), upright(x, y, x + wide, y + tall)
    expected = photo[max(y, 0) : max(y + tall + 1, 0), max(x, 0) : max(x + wide + 1, 0)]
    if expected.size == 0:
        for cut in (crops.box, crops.perspective):
            with pytest.raises(Reject, match="outside_photo"):
                cut(photo, quad, "here")
        return
    np.testing.assert_array_equal(np.asarray(crops.box(photo, quad, "here")), expected)
    if min(expected.shape[:2]) > 1:
        np.testing.assert_array_equal(np.asarray(crops.perspective(photo, quad, "here")), expected)


@pytest.mark.parametrize("angle", [-150, -90, -37, 10, 45, 90, 180])
def test_a_turned_word_is_made_upright_at_its_own_scale(angle):
    photo = smooth()
    c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    around = [(-20, -8), (20, -8), (20, 8), (-20, 8)]
    quad = [(round(60 + c * x - s * y), round(45 + s * x + c * y)) for x, y in around]
    crop = np.asarray(crops.perspective(photo, quad, "here"), float)
    assert abs(crop.shape[0] - 17) <= 1
    assert abs(crop.shape[1] - 41) <= 1
    (x0, y0), (x1, y1), _, (x3, y3) = quad
    v, u = np.mgrid[: crop.shape[0], : crop.shape[1]]
    u, v = u / (crop.shape[1] - 1), v / (crop.shape[0] - 1)
    xs, ys = x0 + u * (x1 - x0) + v * (x3 - x0), y0 + u * (y1 - y0) + v * (y3 - y0)
    exact = np.stack([127 + 100 * np.sin(xs / 9 + k) * np.cos(ys / (7 + k)) for k in range(3)], -1)
    assert (
        np.abs(crop - exact).max() < 12
    )  # corners on whole pixels bend the rectangle by at most half of one
    assert np.abs(crop - exact).mean() < 3


def test_the_direction_of_a_list_does_not_mirror_the_word():
    photo = smooth()
    right = upright(10, 20, 50, 40)
    left = [right[0], *right[:0:-1]]
    assert crops.perspective(photo, left, "x").tobytes() == crops.perspective(photo, right, "x").tobytes()


def test_the_long_side_of_a_wedge_is_averaged_not_picked():
    photo = np.zeros((H, W, 3), np.uint8)
    photo[:, ::2] = 255  # the finest stripes there are: grey, seen from afar
    wedge = [(55, 5), (65, 5), (115, 85), (5, 85)]
    crop = np.asarray(crops.perspective(photo, wedge, "x"), float)[..., 0]
    rows = crop[-4:]  # where 110 pixels come to lie in 61
    assert abs(rows.mean() - 127) < 8
    assert rows.std() < 20  # about 90 where pixels are picked


def test_beyond_the_border_the_border_goes_on():
    photo = np.full((H, W, 3), 200, np.uint8)
    for quad in (
        [(0, 0), (W - 1, 10), (W - 1, H - 1), (0, 30)],
        [(-9, -9), (W + 30, -2), (W + 9, H + 5), (-3, H + 20)],
    ):
        assert np.unique(np.asarray(crops.perspective(photo, quad, "x"))).tolist() == [200]


@pytest.mark.parametrize("far", [1e5, -1e5, 999999])
def test_corners_far_outside_cost_no_more_than_the_photo(far):
    crop = crops.perspective(noise(), [(0, 0), (far, 0), (far, far), (0, far)] if far > 0 else
                             [(far, far), (9, far), (9, 9), (far, 9)], "x")  # fmt: skip
    assert crop.size in ((W, H), (10, 10))


@pytest.mark.parametrize(
    "quad",
    [
        [(2, 2), (20, 20), (20, 2), (2, 20)],
        [(5, 5)] * 4,
        [(5, 5), (50, 5), (15, 15), (5, 50)],
        [(5, 5), (9, 5), (20, 5), (5, 20)],
        [(5, 5), (50, 5), (50, 5), (5, 5)],
    ],
)
def test_what_has_no_inside_has_no_perspective(quad):
    with pytest.raises(Reject, match=r"^word 3: not_convex"):
        crops.perspective(noise(), quad, "word 3")
    assert crops.box(noise(), quad, "word 3").size[0] >= 1


def test_equal_crops_are_equal_bytes_and_lose_nothing():
    crop = crops.box(noise(), upright(3, 4, 30, 20), "x")
    data = crops.encoded(crop)
    assert data == crops.encoded(crop.copy())
    np.testing.assert_array_equal(crops.decoded(data), np.asarray(crop))


def test_a_mask_keeps_what_its_outline_holds():
    photo, quad = noise(), upright(10, 20, 29, 39)
    whole = np.asarray(crops.masked(photo, quad, "x", upright(10, 20, 30, 40)))
    np.testing.assert_array_equal(whole, np.asarray(crops.box(photo, quad, "x")))
    left = np.asarray(crops.masked(photo, quad, "x", upright(10, 20, 20, 40)))
    np.testing.assert_array_equal(left[:, :9], whole[:, :9])
    assert not left[:, 11:].any()


def test_a_mask_moves_with_a_box_that_begins_outside_the_photo():
    photo = np.full((H, W, 3), 200, np.uint8)
    crop = np.asarray(crops.masked(photo, upright(-10, -10, 9, 9), "x", upright(-10, -10, 5, 5)))
    assert crop.shape == (10, 10, 3)
    assert crop[:4, :4].all()
    assert not crop[6:].any()
    assert not crop[:, 6:].any()
