"""Polygons in pixels: lists of points (x, y), y pointing down, each naming the centre of a pixel.

So a box that reaches from x to x is one pixel wide. Plain arithmetic on Python's numbers: the same polygon
gives the same result, to the last bit, on every machine.
"""

import math
from collections.abc import Sequence

from shards.errors import BadData

Point = tuple[float, float]
Polygon = Sequence[Point]
Box = tuple[float, float, float, float]
Homography = tuple[float, float, float, float, float, float, float, float]


def box(polygon: Polygon) -> Box:
    """(left, top, right, bottom) of the upright box around a polygon; all four lie inside it."""
    xs, ys = [x for x, _ in polygon], [y for _, y in polygon]
    return min(xs), min(ys), max(xs), max(ys)


def overlaps(polygon: Polygon, width: int, height: int) -> bool:
    """Whether the box around a polygon shares a pixel with a picture."""
    left, top, right, bottom = box(polygon)
    return left <= width - 1 and top <= height - 1 and right >= 0 and bottom >= 0


def clipped(polygon: Polygon, width: int, height: int) -> tuple[Point, ...]:
    """The polygon with each point outside a picture moved to the nearest pixel of its border."""
    return tuple((min(max(x, 0), width - 1), min(max(y, 0), height - 1)) for x, y in polygon)


def cut(polygon: Polygon, frame: Box) -> tuple[Point, ...]:
    """The part of a polygon inside an upright frame, none where they do not meet (Sutherland and Hodgman
    1974). Of one that is not convex, parts may hang together by a line along the frame.
    """
    points = list(polygon)
    for axis, bound, sign in ((0, frame[0], 1), (1, frame[1], 1), (0, frame[2], -1), (1, frame[3], -1)):
        kept: list[Point] = []
        for a, b in zip([*points[-1:], *points], points, strict=False):
            deep, deeper = sign * (a[axis] - bound), sign * (b[axis] - bound)
            if (deep < 0) != (deeper < 0):
                share = deep / (deep - deeper)
                kept.append((a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1])))
            if deeper >= 0:
                kept.append(b)
        points = kept
    return tuple(points)


def area(polygon: Polygon) -> float:
    """The area between the points, positive where they run clockwise on the screen."""
    following = [*polygon[1:], polygon[0]]
    return sum(x * v - u * y for (x, y), (u, v) in zip(polygon, following, strict=True)) / 2


def clockwise(polygon: Polygon) -> tuple[Point, ...]:
    """The polygon run through clockwise on the screen, from the same first point."""
    first, *others = polygon
    return (first, *others) if area(polygon) >= 0 else (first, *reversed(others))


def convex(quad: Polygon) -> bool:
    """Whether a quad turns right at each of its four corners: it is convex, clockwise and truly has four."""
    a, b, c, d = quad
    return all(area(corner) > 0 for corner in ((a, b, c), (b, c, d), (c, d, a), (d, a, b)))


def sides(quad: Polygon) -> tuple[float, float, float, float]:
    """Lengths of the sides of a quad: top, right, bottom, left, where it starts at the top left."""
    a, b, c, d = quad
    return _length(a, b), _length(b, c), _length(c, d), _length(d, a)


def _length(a: Point, b: Point) -> float:
    return ((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5


def homography(rectangle: Box, quad: Polygon) -> Homography:
    """The perspective map (a, ..., h) from the corners of a rectangle to a quad, top left to its first point:

    x' = (a x + b y + c) / (g x + h y + 1), y' = (d x + e y + f) / (g x + h y + 1). No such map: a BadData.
    """
    left, top, right, bottom = rectangle
    if right <= left or bottom <= top or not convex(quad):
        raise BadData(f"no perspective from {rectangle} to {quad}: a convex clockwise quad is needed")
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = quad
    # from the unit square: P. Heckbert, Fundamentals of Texture Mapping, 1989, section 2.2.3
    sx, sy = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    ax, ay, bx, by = x1 - x2, y1 - y2, x3 - x2, y3 - y2
    whole = ax * by - ay * bx
    g, h = (sx * by - sy * bx) / whole, (ax * sy - ay * sx) / whole
    w, t = right - left, bottom - top
    across = ((x1 - x0 + g * x1) / w, (x3 - x0 + h * x3) / t)
    down = ((y1 - y0 + g * y1) / w, (y3 - y0 + h * y3) / t)
    depth = (g / w, h / t)
    one = 1 - depth[0] * left - depth[1] * top
    return (
        across[0] / one, across[1] / one, (x0 - across[0] * left - across[1] * top) / one,
        down[0] / one, down[1] / one, (y0 - down[0] * left - down[1] * top) / one,
        depth[0] / one, depth[1] / one,
    )  # fmt: skip


def rectangle(polygon: Polygon) -> tuple[Point, ...]:
    """The smallest rectangle around a polygon, clockwise from the corner nearest to its first point.

    One of its sides lies along a side of the convex hull (Freeman and Shapira 1975).
    """
    hull = _hull(polygon)
    best: tuple[float, tuple[Point, ...]] = (math.inf, tuple(polygon[:1]) * 4)
    for (x, y), (u, v) in zip(hull, [*hull[1:], hull[0]], strict=True):
        length = math.hypot(u - x, v - y)
        if not length:
            continue
        c, s = (u - x) / length, (v - y) / length
        left, top, right, bottom = box([(p * c + q * s, q * c - p * s) for p, q in hull])
        size = (right - left) * (bottom - top)
        corners = ((left, top), (right, top), (right, bottom), (left, bottom))
        if size < best[0]:
            best = size, tuple((p * c - q * s, p * s + q * c) for p, q in corners)
    corners, (x, y) = best[1], polygon[0]
    first = min(range(4), key=lambda i: math.hypot(corners[i][0] - x, corners[i][1] - y))
    return corners[first:] + corners[:first]


def _hull(polygon: Polygon) -> list[Point]:
    """The corners of the convex hull, clockwise on the screen (Andrew 1979)."""
    points = sorted(set(polygon))
    if len(points) < 3:
        return points
    chains = []
    for run in (points, points[::-1]):
        chain: list[Point] = []
        for point in run:
            while len(chain) > 1 and _turn(chain[-2], chain[-1], point) <= 0:
                chain.pop()
            chain.append(point)
        chains.append(chain[:-1])
    return chains[0] + chains[1]


def _turn(a: Point, b: Point, c: Point) -> float:
    """More than 0 where the way from a over b to c turns right on the screen."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
