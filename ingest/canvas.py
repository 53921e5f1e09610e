"""A picture on which words find room, are hidden by other things, and are judged by what is left of them.

H, W: the picture's height and width in pixels.
"""

import math
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ingest.lettering import Quad
from shards.sample import Point, Word

READABLE = 8.0  # pixels: letters of a smaller font, less than 6 tall as capitals, cannot be read
HIDDEN, GONE = 0.5, 0.9  # shares of a word's ink behind other things: not legible, not there at all
LIKENESS = 0.4  # least correlation of a legible word's pixels with its ink
CONTRAST = 12.0  # grey levels that full ink makes in a legible word, at least


@dataclass(frozen=True, slots=True)
class Placed:
    """A word in the picture: its ink [h, w] from 0 to 1, the slices of the picture where it lies, its height
    and the size of its font there, in pixels.
    """

    text: str
    polygon: tuple[Point, ...]
    ink: np.ndarray
    at: tuple[slice, slice]
    height: float
    size: float


@dataclass(slots=True)
class Canvas:
    """The picture while it is made: float32 [H, W, 3], what is taken by words, what other things hide."""

    pixels: np.ndarray
    taken: np.ndarray = field(init=False)
    hidden: np.ndarray = field(init=False)
    words: list[Placed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken = np.zeros(self.pixels.shape[:2], bool)
        self.hidden = np.zeros(self.pixels.shape[:2], np.float32)

    def polygon(self, points: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray]:
        """Where in the picture a polygon lies, and how far it covers each pixel there, 0 or 1."""
        tall, wide = self.taken.shape
        left, top = np.clip(np.floor(points.min(axis=0)), 0, (wide - 1, tall - 1)).astype(int)
        right, bottom = np.clip(np.ceil(points.max(axis=0)), (left + 1, top + 1), (wide, tall)).astype(int)
        mask = Image.new("L", (int(right - left), int(bottom - top)))
        ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in points - (left, top) - 0.5], fill=1)
        return (slice(top, bottom), slice(left, right)), np.asarray(mask, np.float32)

    def room(self, quad: Quad, rng: np.random.Generator) -> Quad | None:
        """The quad moved to where nothing is taken, which it then is; None: there is no such place."""
        tall, wide = self.taken.shape
        least, most = quad.min(axis=0), quad.max(axis=0)
        free = np.array([wide, tall]) - 2 - (most - least)
        if free.min() < 0:
            return None
        for _ in range(12):
            moved = quad - least + 1 + rng.uniform(0, 1, 2) * free
            at, mask = self.polygon(moved)
            if not (self.taken[at] & (mask > 0)).any():
                self.taken[at] |= mask > 0
                return moved
        return None

    def told(self, grey: np.ndarray) -> list[Word]:
        """The words that are there, legible or not, by the finished picture, uint8 [H, W]."""
        words = []
        for one in self.words:
            total = float(one.ink.sum())
            hidden = float((one.ink * self.hidden[one.at]).sum()) / max(total, 1e-6)
            if total > 0 and hidden <= GONE:
                seen = hidden <= HIDDEN and one.size >= READABLE
                legible = seen and _clear(one.ink, grey[one.at], one.height)
                words.append(Word(one.text, one.polygon, legible))
        return words


def _clear(ink: np.ndarray, grey: np.ndarray, height: float) -> bool:
    """Whether pixels follow the ink closely and strongly enough, whichever of the two is darker, once both
    are freed from what changes more slowly than letters do.
    """
    ink, grey = _fine((ink * 255).astype(np.uint8), height), _fine(grey, height)
    common, own, theirs = (float((a * b).sum()) for a, b in ((ink, grey), (ink, ink), (grey, grey)))
    return abs(common) >= max(LIKENESS * math.sqrt(own * theirs), CONTRAST / 255 * own, 1e-6)


def _fine(grey: np.ndarray, height: float) -> np.ndarray:
    around = Image.fromarray(grey).filter(ImageFilter.BoxBlur(height / 2))
    return grey - np.asarray(around, np.float32)
