"""Words set in lines on a flat plane, and the plane tilted before a camera: the text of a drawn scene.

Boxes are (left, top, right, bottom) on the edges of pixels: the first pixel of a plane reaches from 0 to 1.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ingest.fonts import sized
from shards.geometry import Box

PROBE = 40  # font size at which a line is measured first
SMALLEST = 4  # font size
INKED = 1 / 3  # of the darkest pixel's ink, which a pixel of a word has at least
FAR = 2.0  # distance of the camera, in longer sides of the picture
Quad = np.ndarray  # [4, 2] corners, clockwise from the top left


@dataclass(frozen=True, slots=True)
class Lettered:
    """A word on a plane, the box of its ink, and the size of its font in pixels."""

    text: str
    box: Box
    size: float


@dataclass(frozen=True, slots=True)
class Block:
    """Lines of words on a plane: how much ink each pixel has, "L", and the words."""

    ink: Image.Image
    words: tuple[Lettered, ...]


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word drawn at its place in a line, and the box of its ink in that drawing."""

    text: str
    drawn: Image.Image
    x: int
    y: int
    box: Box
    size: float


def block(
    lines: Sequence[Sequence[str]],
    heights: Sequence[float],
    font: Path,
    widest: float,
    rng: np.random.Generator,
) -> Block | None:
    """Lines below one another, each as tall as its height, none wider than `widest` pixels.

    Words for which their line has no room are left out; None: none is left, or none has ink.
    """
    height = heights[0]
    pad, gap, centred = round(height * rng.uniform(0.15, 0.7)) + 2, rng.uniform(0.2, 0.6), rng.random() < 0.5
    bold = int(rng.random() < 0.1 and height > 20)
    rows = [_row(words, font, tall, widest, bold, rng) for words, tall in zip(lines, heights, strict=True)]
    wide = max((row[-1].x + row[-1].drawn.width for row in rows if row), default=0)
    placed, words, top = [], [], pad
    for row in rows:
        if not row:
            continue
        left = pad + (wide - row[-1].x - row[-1].drawn.width) // 2 * centred
        for piece in row:
            x, y = left + piece.x, top + piece.y
            placed.append((piece.drawn, (x, y)))
            ink = piece.box
            box = ink[0] + x, ink[1] + y, ink[2] + x, ink[3] + y
            words.append(Lettered(piece.text, box, piece.size))
        top += round(max(piece.y + piece.drawn.height for piece in row) * (1 + gap))
    if not words:
        return None
    plane = Image.new("L", (wide + 2 * pad, math.ceil(max(word.box[3] for word in words)) + 1 + pad))
    for drawn, corner in placed:
        plane.paste(drawn, corner)
    return Block(plane, tuple(words))


def _row(
    words: Sequence[str], font: Path, height: float, widest: float, bold: int, rng: np.random.Generator
) -> list[_Piece]:
    shaped = not "".join(words).isascii()
    probe = sized(font, PROBE, shaped)
    _, top, _, bottom = probe.getbbox(" ".join(words))
    size = PROBE * height / max(1, bottom - top)
    face = sized(font, max(SMALLEST, round(size)), shaped)
    space, x, row = round(size * rng.uniform(0.25, 0.6)) + 1, 0, []
    for word in words:
        found = _inked(word, face, bold)
        if found is None:
            continue
        drawn, above, box = found
        if x + drawn.width > widest:
            break
        row.append(_Piece(word, drawn, x, above, box, face.size))
        x += drawn.width + space
    lift = min((piece.y for piece in row), default=0)
    return [replace(piece, y=piece.y - lift) for piece in row]


def _inked(word: str, face: ImageFont.FreeTypeFont, bold: int) -> tuple[Image.Image, int, Box] | None:
    """The bare word cut to its ink, how far below the line's top it stands, and the box of its dark ink."""
    room = round(face.size / 2) + 2
    left, top, right, bottom = (round(v) for v in face.getbbox(word))
    image = Image.new("L", (right - left + 2 * room, bottom - top + 2 * room))
    ImageDraw.Draw(image).text((room - left, room - top), word, 255, face, stroke_width=bold)
    around = image.getbbox()
    if around is None:
        return None
    image = image.crop(around)
    ink = np.asarray(image)
    dark = ink >= ink.max() * INKED
    down, across = np.flatnonzero(dark.any(1)), np.flatnonzero(dark.any(0))
    box = (int(across[0]), int(down[0]), int(across[-1]) + 1, int(down[-1]) + 1)
    return image, around[1] + top - room, box


def tilted(
    size: tuple[int, int], picture: tuple[int, int], rng: np.random.Generator, strength: float
) -> Quad:
    """The corners of a plane of a size (width, height) about (0, 0), as seen from before its middle."""
    rolled = rng.uniform(-30, 30) if rng.random() < 0.25 else rng.normal(0, 3)
    degrees = rolled, np.clip(rng.normal(0, 18), -50, 50), np.clip(rng.normal(0, 12), -35, 35)
    roll, yaw, pitch = (math.radians(float(v)) * min(strength, 1.5) for v in degrees)
    x, y = (np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size / 2).T
    x, y = x * math.cos(roll) - y * math.sin(roll), x * math.sin(roll) + y * math.cos(roll)
    x, depth = x * math.cos(yaw), x * math.sin(yaw)
    y, depth = y * math.cos(pitch) - depth * math.sin(pitch), y * math.sin(pitch) + depth * math.cos(pitch)
    return np.stack([x, y], axis=1) / (1 + depth / (FAR * max(picture)))[:, None]


def projected(points: np.ndarray, across: Sequence[float]) -> np.ndarray:
    """Points [n, 2] through the 8 numbers of `render.homography`."""
    a, b, c, d, e, f, g, h = across
    x, y = points.T
    return np.stack([a * x + b * y + c, d * x + e * y + f], axis=1) / (g * x + h * y + 1)[:, None]
