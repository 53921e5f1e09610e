"""The rule of ICDAR2015 task 4.1 once more, for tests: truth after truth, over exact fractions.

Polygons are cut into slabs between all heights at which a corner lies or two sides meet; in a slab every
polygon is a set of trapezoids, whose widths are known at its middle. Integer corners keep it quick.
"""

from fractions import Fraction
from functools import cache
from itertools import pairwise

HALF = Fraction(1, 2)


def sides(polygon):
    return [(a, b) for a, b in zip(polygon, (*polygon[1:], polygon[0]), strict=True) if a[1] != b[1]]


def meeting(first, second):
    """The height at which two sides cross, if they do."""
    ((ax, ay), (bx, by)), ((cx, cy), (dx, dy)) = first, second
    whole = (bx - ax) * (dy - cy) - (by - ay) * (dx - cx)
    if not whole:
        return []
    t = Fraction((cx - ax) * (dy - cy) - (cy - ay) * (dx - cx), whole)
    u = Fraction((cx - ax) * (by - ay) - (cy - ay) * (bx - ax), whole)
    return [ay + t * (by - ay)] if 0 <= t <= 1 and 0 <= u <= 1 else []


def spans(polygon, y):
    """Where a level cuts the polygon: pairs of x, inside between the two of each."""
    xs = sorted(
        a[0] + Fraction((y - a[1]) * (b[0] - a[0])) / (b[1] - a[1])
        for a, b in sides(polygon)
        if min(a[1], b[1]) < y < max(a[1], b[1])
    )
    return list(zip(xs[::2], xs[1::2], strict=True))


@cache
def shared(first, second) -> Fraction:
    """The area that two simple polygons share, exactly."""
    for k in (0, 1):
        (a, *_, b), (c, *_, d) = (sorted(point[k] for point in polygon) for polygon in (first, second))
        if b <= c or d <= a:
            return Fraction(0)
    ys = {Fraction(y) for _, y in (*first, *second)}
    ys |= {Fraction(y) for a in sides(first) for b in sides(second) for y in meeting(a, b)}
    total = Fraction(0)
    for low, high in pairwise(sorted(ys)):
        middle = (low + high) / 2
        for a, b in spans(first, middle):
            for c, d in spans(second, middle):
                total += max(Fraction(0), min(b, d) - max(a, c)) * (high - low)
    return total


def area(polygon) -> Fraction:
    """That of one polygon."""
    pairs = zip(polygon, (*polygon[1:], polygon[0]), strict=True)
    return abs(sum(Fraction(x * v - u * y) for (x, y), (u, v) in pairs)) / 2


def counts(truths, found):
    """(matches, truths that count, detections that count) of one picture.

    truths: (polygon, counts); found: polygons in the order of the list; all simple, corners whole numbers.
    """
    ignored = {
        i
        for i, polygon in enumerate(found)
        for truth, counted in truths
        if not counted and shared(polygon, truth) > HALF * area(polygon)
    }
    used: set[int] = set()
    for truth, counted in truths:
        if not counted:
            continue
        for i, polygon in enumerate(found):
            both = shared(polygon, truth)
            union = area(polygon) + area(truth) - both
            if i not in used | ignored and both > HALF * union:
                used.add(i)
                break
    return len(used), sum(counted for _, counted in truths), len(found) - len(ignored)
