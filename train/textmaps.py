"""Words as maps of a grid of cells, after differentiable binarisation (Liao et al. 2020, arXiv 1911.08947).

A word's kernel is what is left of it when every side has moved inwards by D = A (1 - r^2) / P, of its area A,
perimeter P and shrinking r; its border is the band of D on either side of its outline. The paper clips
polygons; here one distance from each cell's centre to the outline says all of it: how deep a cell lies in the
word. Kernels are thin beside a cell (D takes 84 % of the height of a long word with r = 0.4), so a cell
holds the share of itself that the kernel covers: what was a step becomes a slope one cell wide, and where the
kernel ends can be read to a fraction of a cell.
Letters: V corners, h w cells; lengths are in cells, cell i reaching from i to i + 1.
"""

import math

import numpy as np

from shards.geometry import area

LEAST, MOST = 0.3, 0.7  # of the border map: far from every outline, and upon one


def depth(corners: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How far points [...] lie within a simple polygon [V,2]: distances to its outline, negative outside."""
    wide = (-1, *[1] * x.ndim)
    (x0, y0), (u, v) = ([c.reshape(wide) for c in both.T] for both in (corners, _along(corners)))
    share = ((x - x0) * u + (y - y0) * v) / np.maximum(u * u + v * v, 1e-12)
    share = np.clip(share, 0, 1)
    gap = np.hypot(x - x0 - share * u, y - y0 - share * v).min(0)
    # a ray to the right crosses an odd number of sides (Shimrat 1962)
    level = np.where(v == 0, 1.0, v)
    crossed = ((y0 <= y) != (y0 + v <= y)) & (x < x0 + (y - y0) / level * u)
    return np.where(crossed.sum(0) % 2 == 1, gap, -gap)


def inset(corners: np.ndarray, shrink: float) -> float:
    """D: by how much the sides of a polygon [V,2] move."""
    return (
        abs(area(corners.tolist())) * (1 - shrink**2) / max(1e-9, float(np.hypot(*_along(corners).T).sum()))
    )


def outset(width: float, height: float, shrink: float) -> float:
    """The D by which a rectangle of those sides was shrunk: of 2 D (w + h) = (1 - r^2) w h, the larger one's.

    The paper grows by a fixed share of A / P instead, which is right for one shape alone.
    """
    k = 1 - shrink**2
    half = (width + height) * (1 - k)
    whole = math.sqrt(half**2 + (8 - 4 * k) * k * width * height)
    return (whole - half) / (8 - 4 * k)


def grown(rectangle: np.ndarray, shrink: float, share: float, margin: float = 0.0) -> np.ndarray:
    """A rectangle [4,2], clockwise, widened on every side: by a margin, and then by a share of what shrinking
    took from it. One side may have no length.
    """
    sides = rectangle[1] - rectangle[0], rectangle[2] - rectangle[1]
    width, height = (float(np.hypot(*side)) for side in sides)
    (x, y), length = (sides[0], width) if width >= height else ((sides[1][1], -sides[1][0]), height)
    along = np.array([x, y]) / max(length, 1e-9)
    down = np.array([-along[1], along[0]])
    distance = margin + share * outset(width + 2 * margin, height + 2 * margin, shrink)
    return rectangle + distance * np.stack([-along - down, along - down, along + down, down - along])


def around(corners: np.ndarray, margin: float, size: tuple[int, int]) -> tuple[slice, slice]:
    """The rows and columns of a grid of a size (h, w) whose cells lie near a polygon [V,2]."""
    low = np.clip(np.floor(corners.min(0) - margin), 0, size[::-1]).astype(int)
    high = np.clip(np.ceil(corners.max(0) + margin), 0, size[::-1]).astype(int)
    return slice(low[1], high[1]), slice(low[0], high[0])


def within(corners: np.ndarray, place: tuple[slice, slice]) -> np.ndarray:
    """`depth` at the centres of the cells of some rows and columns, [h,w]."""
    y, x = np.meshgrid(*(np.arange(s.start, s.stop) + 0.5 for s in place), indexing="ij")
    return depth(corners, x, y)


def kernel(deep: np.ndarray, distance: float) -> np.ndarray:
    """The share of each cell that is deeper than a distance, taking the outline to run straight across it."""
    return np.clip(deep - distance + 0.5, 0, 1)


def border(deep: np.ndarray, distance: float) -> np.ndarray:
    """From MOST upon the outline to LEAST at a distance from it."""
    return LEAST + (MOST - LEAST) * np.clip(1 - np.abs(deep) / max(distance, 1e-9), 0, 1)


def _along(corners: np.ndarray) -> np.ndarray:
    """The sides of a polygon, corner to corner [V,2]."""
    return np.roll(corners, -1, 0) - corners
