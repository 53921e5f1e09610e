"""Geometry of polygons: properties over random quads, and golden values for the degenerate ones."""

import math

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from shards import geometry
from shards.errors import BadData

POINT = st.tuples(st.integers(-2000, 2000), st.integers(-2000, 2000))
QUAD = st.tuples(POINT, POINT, POINT, POINT)
SIZE = st.tuples(st.integers(1, 1500), st.integers(1, 1500))


def mapped(h, x, y):
    depth = h[6] * x + h[7] * y + 1
    return (h[0] * x + h[1] * y + h[2]) / depth, (h[3] * x + h[4] * y + h[5]) / depth


def turned(quad, degrees):
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return [(c * x - s * y, s * x + c * y) for x, y in quad]


@given(quad=QUAD)
def test_the_box_is_the_smallest_that_holds_all_points(quad):
    left, top, right, bottom = geometry.box(quad)
    assert all(left <= x <= right and top <= y <= bottom for x, y in quad)
    assert {left, right} <= {x for x, _ in quad}
    assert {top, bottom} <= {y for _, y in quad}


@given(quad=QUAD, size=SIZE)
def test_a_clipped_polygon_is_inside_and_its_box_is_the_clipped_box(quad, size):
    width, height = size
    inside = geometry.clipped(quad, *size)
    assert all(0 <= x <= width - 1 and 0 <= y <= height - 1 for x, y in inside)
    assert geometry.clipped(inside, *size) == inside
    left, top, right, bottom = geometry.box(quad)
    shared = max(left, 0) <= min(right, width - 1) and max(top, 0) <= min(bottom, height - 1)
    assert geometry.overlaps(quad, *size) == shared
    if shared:
        box = max(left, 0), max(top, 0), min(right, width - 1), min(bottom, height - 1)
        assert geometry.box(inside) == box


@given(quad=QUAD, by=POINT)
def test_area_ignores_place_and_start_and_changes_sign_with_the_direction(quad, by):
    area = geometry.area(quad)
    assert geometry.area([(x + by[0], y + by[1]) for x, y in quad]) == area
    assert geometry.area([*quad[1:], quad[0]]) == area
    assert geometry.area(quad[::-1]) == -area
    assert geometry.area([(x, -y) for x, y in quad]) == -area


@given(quad=QUAD)
def test_clockwise_keeps_the_first_point_and_is_done_once(quad):
    right = geometry.clockwise(quad)
    assert geometry.area(right) >= 0
    assert right[0] == quad[0]
    assert sorted(right) == sorted(quad)
    assert geometry.clockwise(right) == right


@given(quad=QUAD)
def test_a_convex_quad_holds_the_crossing_of_its_diagonals_and_turns_with_its_start(quad):
    convex = geometry.convex(quad)
    assert geometry.convex((*quad[1:], quad[0])) == convex
    assert not (convex and geometry.convex(quad[::-1]))
    if convex:
        a, b, c, d = quad
        halves = geometry.area((a, b, c)) + geometry.area((c, d, a))
        assert halves == geometry.area(quad) > 0


@pytest.mark.parametrize(
    ("quad", "area", "convex"),
    [
        ([(0, 0), (4, 0), (4, 2), (0, 2)], 8, True),
        ([(0, 0), (0, 2), (4, 2), (4, 0)], -8, False),  # anticlockwise
        ([(0, 0), (4, 2), (4, 0), (0, 2)], 0, False),  # a bow tie
        ([(0, 0), (4, 0), (1, 1), (0, 4)], 4, False),  # a dart
        ([(0, 0), (2, 0), (4, 0), (0, 3)], 6, False),  # a triangle
        ([(3, 3)] * 4, 0, False),  # a point
    ],
)
def test_golden_quads(quad, area, convex):
    assert geometry.area(quad) == area
    assert geometry.convex(quad) is convex


def test_sides_are_lengths_in_order():
    assert geometry.sides([(0, 0), (3, 4), (3, 10), (0, 10)]) == (5, 6, 3, 10)


@st.composite
def convex_quads(draw):
    """A rectangle, each corner pulled by less than makes a dart of it, and turned."""
    wide, tall = draw(st.integers(10, 900)), draw(st.integers(10, 900))
    pull = st.floats(-0.2, 0.2)
    quad = [(wide * (x + draw(pull)), tall * (y + draw(pull))) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))]
    return turned(quad, draw(st.integers(-180, 180)))


@given(quad=convex_quads(), size=st.tuples(st.integers(2, 300), st.integers(2, 300)), at=POINT)
def test_a_homography_takes_corner_to_corner_and_lines_to_lines(quad, size, at):
    left, top = at
    right, bottom = left + size[0] - 1, top + size[1] - 1
    h = geometry.homography((left, top, right, bottom), quad)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    for corner, point in zip(corners, quad, strict=True):
        assert mapped(h, *corner) == pytest.approx(point, abs=1e-6)
    middle = mapped(h, (left + right) / 2, (top + bottom) / 2)  # where the diagonals cross
    for a, b in ((quad[0], quad[2]), (quad[1], quad[3])):
        assert abs(geometry.area([a, b, middle])) / math.dist(a, b) < 1e-6


@given(angle=st.integers(-180, 180), size=st.tuples(st.integers(2, 300), st.integers(2, 300)))
def test_a_turned_rectangle_needs_no_perspective_and_keeps_lengths(angle, size):
    w, t = size[0] - 1, size[1] - 1
    h = geometry.homography((0, 0, w, t), turned([(0, 0), (w, 0), (w, t), (0, t)], angle))
    assert h[6:] == pytest.approx((0, 0), abs=1e-9)
    assert math.dist(mapped(h, 0, 0), mapped(h, 1, 0)) == pytest.approx(1)
    assert math.dist(mapped(h, 0, 0), mapped(h, 0, 1)) == pytest.approx(1)


def test_an_upright_box_is_a_shift_to_the_last_bit():
    h = geometry.homography((0.5, 0.5, 9.5, 4.5), [(3.5, 7.5), (12.5, 7.5), (12.5, 11.5), (3.5, 11.5)])
    assert h == (1, 0, 3, 0, 1, 7, 0, 0)


@pytest.mark.parametrize(
    ("rectangle", "quad"),
    [
        ((0, 0, 5, 5), [(0, 0), (0, 2), (4, 2), (4, 0)]),
        ((0, 0, 5, 5), [(0, 0), (2, 0), (4, 0), (0, 3)]),
        ((0, 0, 0, 5), [(0, 0), (4, 0), (4, 2), (0, 2)]),
    ],
)
def test_what_has_no_perspective_is_refused(rectangle, quad):
    with pytest.raises(BadData, match="convex"):
        geometry.homography(rectangle, quad)


@given(st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20)), min_size=3, max_size=3, unique=True))
def test_what_is_cut_out_of_a_polygon_is_its_part_in_the_frame(points):
    frame = (-5.0, -3.0, 8.0, 9.0)
    found, wanted = geometry.cut(points, frame), shapely.Polygon(points).intersection(shapely.box(*frame))
    area = abs(geometry.area(found)) if found else 0.0
    assert area == pytest.approx(wanted.area, abs=1e-6)
    for x, y in found:
        assert frame[0] - 1e-9 <= x <= frame[2] + 1e-9
        assert frame[1] - 1e-9 <= y <= frame[3] + 1e-9
