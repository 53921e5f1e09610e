"""Words cut out of photographs: quads made upright, so that rotated words read from left to right."""

import numpy as np
from PIL import Image

from shards import geometry
from shards.errors import BadData
from shards.geometry import Polygon

MARGIN = 8  # pixels repeated around a photo for samples taken just outside it
MOST = 8  # samples per pixel and direction


def perspective(photo: np.ndarray, quad: Polygon) -> Image.Image:
    """A clockwise, convex quad inside a photo [H,W,3] as a rectangle whose sides are the means of opposite
    sides, so that the scale stays near 1.

    Bicubic; where one side is half again as long as the other, or more, several samples make one pixel, which
    prevents aliasing at the long side. An upright box gives its pixels unchanged.
    """
    top, right, bottom, left = geometry.sides(quad)
    width, height = round((top + bottom) / 2) + 1, round((left + right) / 2) + 1
    longer = max(top / bottom, bottom / top, left / right, right / left)
    samples = min(MOST, round(longer))
    x, y, far_x, far_y = (int(v) for v in geometry.box(quad))
    around = _around(photo, x - MARGIN, y - MARGIN, far_x + MARGIN, far_y + MARGIN)
    # Pillow counts from the corner of a picture, so the centre of pixel 0 is at a half
    moved = [(u - x + MARGIN + 0.5, v - y + MARGIN + 0.5) for u, v in quad]
    centres = (samples / 2, samples / 2, (width - 0.5) * samples, (height - 0.5) * samples)
    made = Image.fromarray(around).transform(
        (width * samples, height * samples),
        Image.Transform.PERSPECTIVE,
        geometry.homography(centres, moved),
        Image.Resampling.BICUBIC,
    )
    return made.reduce(samples) if samples > 1 else made


def cut(photo: np.ndarray, polygon: Polygon) -> Image.Image:
    """The part of a photo [H,W,3] that a polygon of a word bounds: its quad made upright, or, where that is
    none, the upright box. A polygon outside the photo is a BadData.
    """
    height, width = photo.shape[:2]
    if not geometry.overlaps(polygon, width, height):
        raise BadData(f"{polygon} lies outside a photo of {width}x{height} pixels")
    quad = geometry.clockwise(polygon if len(polygon) == 4 else geometry.rectangle(polygon))
    inside = geometry.clipped(quad, width, height)
    if geometry.convex(inside):
        return perspective(photo, inside)
    left, top, right, bottom = (int(v) for v in geometry.box(inside))
    return Image.fromarray(np.ascontiguousarray(photo[top : bottom + 1, left : right + 1]))


def _around(photo: np.ndarray, left: int, top: int, right: int, bottom: int) -> np.ndarray:
    """The pixels from left to right and top to bottom, ends included; outside the photo, its border's."""
    height, width = photo.shape[:2]
    rows = np.clip(np.arange(top, bottom + 1), 0, height - 1)
    return photo[rows[:, None], np.clip(np.arange(left, right + 1), 0, width - 1)]
