"""What polygons share: exact areas, for many pairs at once, in float64.

Convex polygons are clipped one by the other (I. Sutherland and G. Hodgman, Reentrant polygon clipping, 1974).
Any other simple polygon is the signed sum of the triangles between its first corner and its sides, so that
pairs of triangles are all that is clipped. Corners may run either way round.
Letters: P polygons or pairs, S points, V and U corners of one polygon, T pairs of triangles.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shards.sample import Point

BLOCK = 1 << 14  # pairs clipped at once: what they need stays in the processor's cache


def cross(a: Tensor, b: Tensor) -> Tensor:
    """The third component of a x b, of vectors [...,2]."""
    return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]


def areas(corners: Tensor) -> Tensor:
    """Signed areas [P] of [P,V,2], positive where the corners run clockwise on the screen."""
    local = corners - corners[:, :1]
    return cross(local, local.roll(-1, 1)).sum(1) / 2


def hulls(quads: Tensor) -> Tensor:
    """The convex hulls [P,4,2] of four points each, clockwise; where three suffice, one stands twice."""
    about = quads - quads.mean(1, keepdim=True)
    order = torch.atan2(about[..., 1], about[..., 0]).argsort(dim=1, stable=True)
    ring = quads.gather(1, order[..., None].expand_as(quads))
    before, after = ring.roll(1, 1), ring.roll(-1, 1)
    return torch.where((cross(ring - before, after - ring) < 0)[..., None], before, ring)


def convex_overlap(a: Tensor, b: Tensor) -> Tensor:
    """Areas [P] that convex polygons a [P,V,2] and b [P,U,2] share; the corners of both run clockwise."""
    blocks = [_clipped(*pair) for pair in zip(a.split(BLOCK), b.split(BLOCK), strict=True)]
    return torch.cat(blocks) if blocks else a.new_zeros(0)


def _clipped(a: Tensor, b: Tensor) -> Tensor:
    """Cuts a by each side of b in turn and measures what is left."""
    origin = b[:, :1]
    left, b = a - origin, b - origin  # small numbers: a difference of far points would lose digits
    for start, end in zip(b.unbind(1), b.roll(-1, 1).unbind(1), strict=True):
        side = cross((end - start)[:, None], left - start[:, None])  # [P,V], >= 0 inside
        left = _halved(left, side)
    return areas(left).clamp(min=0)


def _halved(left: Tensor, side: Tensor) -> Tensor:
    """The part [P,V+1,2] of convex polygons [P,V,2] where side >= 0; spare places repeat the first corner."""
    following, beyond = left.roll(-1, 1), side.roll(-1, 1)
    inside = side >= 0
    crossing = inside != (beyond >= 0)
    share = torch.where(crossing, side / torch.where(crossing, side - beyond, 1.0), 0.0)
    points = torch.stack([left, left + share[..., None] * (following - left)], 2).flatten(1, 2)  # [P,2V,2]
    taken = torch.stack([inside, crossing], 2).flatten(1)
    order = (~taken).to(torch.uint8).argsort(dim=1, stable=True)[:, : left.shape[1] + 1]
    place = torch.where(taken.gather(1, order), order, order[:, :1])
    return points.gather(1, place[..., None].expand(-1, -1, 2))


@dataclass(frozen=True, slots=True)
class Polygons:
    """Polygons of any number of corners: points float64 [S,2], polygon after polygon; counts int64 [P]."""

    points: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, polygons: Sequence[Sequence[Point] | None]) -> "Polygons":
        """From lists of corners; None is a polygon without any."""
        flat = [point for polygon in polygons for point in polygon or ()]
        counts = [len(polygon or ()) for polygon in polygons]
        return cls(np.array(flat, np.float64).reshape(-1, 2), np.array(counts, np.int64))

    @property
    def starts(self) -> np.ndarray:
        """Where the points of each begin, int64 [P]."""
        return np.cumsum(self.counts) - self.counts

    def areas(self) -> np.ndarray:
        """Signed areas [P] as of `areas`; 0 of polygons of fewer than three corners."""
        start, count = np.repeat(self.starts, self.counts), np.repeat(self.counts, self.counts)
        after = self.points[start + (_numbered(self.counts) + 1) % count]
        first = self.points[start]
        (x, y), (u, v) = (self.points - first).T, (after - first).T
        owners = np.repeat(np.arange(len(self.counts)), self.counts)
        return np.bincount(owners, x * v - u * y, len(self.counts)) / 2

    def boxes(self) -> np.ndarray:
        """Upright boxes (left, top, right, bottom) [P,4] around them; of none the box turned inside out."""
        out = np.tile([np.inf, np.inf, -np.inf, -np.inf], (len(self.counts), 1))
        owners = np.repeat(np.arange(len(self.counts)), self.counts)
        np.minimum.at(out[:, :2], owners, self.points)
        np.maximum.at(out[:, 2:], owners, self.points)
        return out

    def corners(self, which: int) -> np.ndarray:
        """The points [V,2] of one of them."""
        return self.points[self.starts[which] :][: self.counts[which]]

    def where(self, kept: np.ndarray) -> "Polygons":
        """The same where kept [P], others without corners."""
        return Polygons(self.points[np.repeat(kept, self.counts)], np.where(kept, self.counts, 0))

    def sound(self) -> np.ndarray:
        """Whether each is one to be measured, bool [P]: it has an area, and does not meet itself."""
        out = np.abs(self.areas()) > 0
        for count in np.unique(self.counts[self.counts > 3]):
            these = np.flatnonzero(self.counts == count)
            corners = self.points[self.starts[these, None] + np.arange(count)]
            out[these] &= ~_crossed(corners)
        return out


def upright(boxes: np.ndarray) -> Polygons:
    """Boxes (left, top, right, bottom) [P,4] as polygons; one that is turned inside out has no corners."""
    there = boxes[:, 0] <= boxes[:, 2]
    left, top, right, bottom = boxes[there].T
    corners = np.stack([left, top, right, top, right, bottom, left, bottom], 1)
    return Polygons(corners.reshape(-1, 2), np.where(there, 4, 0))


def shared(a: Polygons, b: Polygons, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    """Areas [P] that polygons a[i] and b[j] share; both must be sound."""
    m, n = a.counts[i] - 2, b.counts[j] - 2  # triangles of each
    pair = np.repeat(np.arange(len(i)), m * n)
    one, other = np.divmod(_numbered(m * n), n[pair])
    mine, plus = _triangles(a, i[pair], one)
    theirs, minus = _triangles(b, j[pair], other)
    parts = convex_overlap(torch.from_numpy(mine), torch.from_numpy(theirs)).numpy() * plus * minus
    total = np.bincount(pair, parts, len(i))
    way = np.sign(a.areas()[i]) * np.sign(b.areas()[j])
    return np.clip(total * way, 0, np.minimum(np.abs(a.areas()[i]), np.abs(b.areas()[j])))


def _triangles(polygons: Polygons, which: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles [T,3,2], clockwise, of the first corner and side `place` + 1; which way they ran [T]."""
    start = polygons.starts[which]
    corners = polygons.points[np.stack([start, start + place + 1, start + place + 2], 1)]
    (x, y), (u, v) = (corners[:, 1] - corners[:, 0]).T, (corners[:, 2] - corners[:, 0]).T
    turn = np.sign(x * v - u * y)
    corners[turn < 0] = corners[turn < 0][:, ::-1]
    return corners, turn


def _numbered(counts: np.ndarray) -> np.ndarray:
    """0, 1, ... anew for each count."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _crossed(corners: np.ndarray) -> np.ndarray:
    """Whether a polygon meets itself, bool [P] of [P,V,2]; a corner given twice in a row does no harm."""
    after = np.roll(corners, -1, 1)
    new = (corners != np.roll(corners, 1, 1)).any(2)
    run = new.cumsum(1) % np.maximum(1, new.sum(1, keepdims=True))  # points of one run are equal
    out, turns = np.zeros(len(corners), bool), []
    for k in range(corners.shape[1]):
        to, back = corners - corners[:, k : k + 1], corners - after[:, k : k + 1]
        (u, v), (x, y) = (after - corners)[:, k : k + 1].transpose(2, 0, 1), to.transpose(2, 0, 1)
        turns.append(np.sign(u * y - v * x).astype(np.int8))  # of each point seen along side k
        within = (turns[-1] == 0) & ((to * back).sum(2) < 0)
        again = (to == 0).all(2) & (run != run[:, k : k + 1])
        out |= (within | again).any(1)
    turn = np.stack(turns, 1)
    parted = turn * np.roll(turn, -1, 2) < 0  # [P,V,V]: the ends of one side lie on two sides of another
    return out | (parted & parted.transpose(0, 2, 1)).any((1, 2))
