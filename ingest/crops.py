"""Words cut from photos, by one of two rules; both first move corners outside the photo to its border.

box          the upright box around the quad, all its corners included: the rule of ICDAR 2015's own crops
perspective  the quad made upright, so that rotated words read from left to right

`masked` is the first with black around the word's outline.
"""

import io
import math

import numpy as np
from PIL import Image, ImageDraw

from ingest.sources import Reject
from shards import cutting, geometry
from shards.geometry import Point, Polygon

VERSION = 1  # of both rules: part of a data set's identity
CLOSE = 1e-6  # pixels: an edge this near to a border of pixels lies on it


def box(photo: np.ndarray, quad: Polygon, origin: str) -> Image.Image:
    """The pixels of a photo [H,W,3] in the box around a quad."""
    left, top, right, bottom = (int(v) for v in geometry.box(_inside(photo, quad, origin)))
    return Image.fromarray(np.ascontiguousarray(photo[top : bottom + 1, left : right + 1]))


def perspective(photo: np.ndarray, quad: Polygon, origin: str) -> Image.Image:
    """The quad made upright: see `cutting.perspective`."""
    corners = geometry.clockwise(_inside(photo, quad, origin))
    if not geometry.convex(corners):
        raise Reject("not_convex", origin, f"{corners}")
    return cutting.perspective(photo, corners)


def masked(photo: np.ndarray, quad: Polygon, origin: str, outline: Polygon) -> Image.Image:
    """The box around a quad, black outside an outline whose points count pixel 0 as reaching from 0 to 1."""
    crop = box(photo, quad, origin)
    left, top, _, _ = geometry.box(_inside(photo, quad, origin))
    inside = Image.new("1", crop.size)
    ImageDraw.Draw(inside).polygon([(x - left - 0.5, y - top - 0.5) for x, y in outline], fill=1)
    return Image.composite(crop, Image.new("RGB", crop.size), inside)


def touched(x: float, y: float, width: float, height: float) -> tuple[Point, ...]:
    """Corners, clockwise, of the pixels that a box touches, where pixel 0 reaches from 0 to 1."""
    left, top = math.floor(x + CLOSE), math.floor(y + CLOSE)
    right, bottom = math.ceil(x + width - CLOSE) - 1, math.ceil(y + height - CLOSE) - 1
    return (left, top), (right, top), (right, bottom), (left, bottom)


def decoded(data: bytes) -> np.ndarray:
    """The pixels of a photo, uint8 [H,W,3]."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def encoded(crop: Image.Image) -> bytes:
    """A crop as PNG."""
    file = io.BytesIO()
    crop.save(file, "PNG")
    return file.getvalue()


def _inside(photo: np.ndarray, quad: Polygon, origin: str) -> tuple[geometry.Point, ...]:
    height, width = photo.shape[:2]
    if not geometry.overlaps(quad, width, height):
        raise Reject("outside_photo", origin, f"{quad} in {width}x{height} pixels")
    return geometry.clipped(quad, width, height)
