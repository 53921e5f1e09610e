"""Draws a whole picture with words in it, as a camera might have seen it: pure in all that it is told.

A place -> signs and bare lines of words, tilted, none on another -> things before them -> light, blur, noise,
JPEG. A word's polygon is its ink's rectangle as the camera sees it, hidden or not; H, W: pixels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ingest import scenery
from ingest.backgrounds import background
from ingest.fonts import Face
from ingest.lettering import Block, Quad, block, projected, tilted
from ingest.optics import jpeg, light, seen
from ingest.render import LUMA, homography, ink_colour, laid, luminance, shadow, tinted
from shards.sample import Point, Word

Able = Callable[[str], list[Face]]  # the fonts that spell a text
VERSION = 1  # of the drawing: part of the identity of every set of scenes
READABLE = 7.0  # pixels: lines that are lower cannot be read
HIDDEN, GONE = 0.5, 0.9  # shares of a word's ink behind other things: not legible, not there at all
LIKENESS = 0.4  # least correlation of a legible word's pixels with its ink
CALM = 0.6  # of the strength of blur and noise: the words of a scene have fewer pixels than a crop's


@dataclass(frozen=True, slots=True)
class Look:
    """What pictures are like: (width, height), words at least and at most, heights of lines in pixels."""

    size: tuple[int, int]
    words: tuple[int, int]
    heights: tuple[float, float]
    wordless: float
    strength: float


@dataclass(frozen=True, slots=True)
class _Placed:
    """A word in the picture: its ink [h, w] from 0 to 1, and the slices of the picture where it lies."""

    text: str
    polygon: tuple[Point, ...]
    ink: np.ndarray
    at: tuple[slice, slice]
    height: float


@dataclass(slots=True)
class _Canvas:
    """The picture while it is made: float32 [H, W, 3], what is taken by words, what other things hide."""

    pixels: np.ndarray
    taken: np.ndarray = field(init=False)
    hidden: np.ndarray = field(init=False)
    words: list[_Placed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.taken = np.zeros(self.pixels.shape[:2], bool)
        self.hidden = np.zeros(self.pixels.shape[:2], np.float32)


def scene(
    texts: Sequence[str],
    able: Able,
    photos: list,
    look: Look,
    rng: np.random.Generator,
) -> tuple[bytes, tuple[Word, ...]] | None:
    """A JPEG and its words, the first of `texts`; None when fewer than the least found room: draw again.

    Texts that no font spells are left out.
    """
    canvas = _Canvas(scenery.picture(look.size, photos, rng, look.strength))
    least, most = look.words
    wanted = 0 if rng.random() < look.wordless else int(rng.integers(least, most + 1))
    _write([text for text in texts if able(text)], wanted, canvas, able, look, rng)
    if len(canvas.words) < min(least, wanted):
        return None
    for word in canvas.words:
        if rng.random() < 0.12 * look.strength:
            _cover(canvas, word, rng, look.strength)
    canvas.pixels *= light(look.size[1], look.size[0], rng, look.strength)[..., None]
    if rng.random() < 0.06:
        canvas.pixels = luminance(canvas.pixels, LUMA)[..., None]
    pixels = seen(canvas.pixels, rng, CALM * look.strength)
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    return jpeg(pixels, rng, CALM * look.strength), tuple(_told(canvas, grey))


def _write(
    texts: list[str],
    wanted: int,
    canvas: _Canvas,
    able: Able,
    look: Look,
    rng: np.random.Generator,
) -> None:
    """Sets `wanted` of the texts, block by block; a block that finds no room is tried again, lower."""
    low, top = look.heights
    for _ in range(8 + 4 * wanted):
        left = texts[: wanted - len(canvas.words)]
        if not left:
            return
        faces = able(left[0])
        face = faces[int(rng.integers(len(faces)))]
        lines = _lines([text for text in left if face in able(text)], rng)
        made = block(lines, _heights(len(lines), low, top, look, rng), face.path, 0.9 * look.size[0], rng)
        quad = made and _room(tilted(made.ink.size, look.size, rng, look.strength), canvas, rng)
        if made is None or quad is None:
            top = max(low, 0.8 * top)
            texts.append(texts.pop(0))
            continue
        _lay(made, quad, canvas, look.strength, rng)
        set_here = {text for text, _ in made.words}
        texts[:] = [text for text in texts if text not in set_here]


def _heights(lines: int, low: float, top: float, look: Look, rng: np.random.Generator) -> list[float]:
    """Heights of the lines of a block, the small more often; now and then too small to be read."""
    if rng.random() < 0.05 * look.strength:
        return [rng.uniform(0.5, 0.9) * READABLE] * lines
    first = low * (top / low) ** (rng.random() ** 1.3)
    return [first, *(max(low, first * rng.uniform(0.6, 1)) for _ in range(lines - 1))]


def _lines(texts: list[str], rng: np.random.Generator) -> list[list[str]]:
    """The first of the texts as one to three lines of one to four words; mostly one line."""
    lines, count = [], int(rng.choice([1, 1, 1, 1, 2, 2, 3]))
    for _ in range(count):
        many = int(rng.choice([1, 1, 1, 1, 2, 2, 3, 4]))
        if texts:
            lines.append(texts[:many])
            texts = texts[many:]
    return lines


def _room(quad: Quad, canvas: _Canvas, rng: np.random.Generator) -> Quad | None:
    """The quad moved to where nothing is taken, which it then is; None: there is no such place."""
    tall, wide = canvas.taken.shape
    least, most = quad.min(axis=0), quad.max(axis=0)
    free = np.array([wide, tall]) - 2 - (most - least)
    if free.min() < 0:
        return None
    for _ in range(12):
        moved = quad - least + 1 + rng.uniform(0, 1, 2) * free
        at, mask = _polygon(moved, canvas)
        if not (canvas.taken[at] & (mask > 0)).any():
            canvas.taken[at] |= mask > 0
            return moved
    return None


def _polygon(points: np.ndarray, canvas: _Canvas) -> tuple[tuple[slice, slice], np.ndarray]:
    """Where in the picture a polygon lies, and how far it covers each pixel there, 0 or 1."""
    tall, wide = canvas.taken.shape
    left, top = np.clip(np.floor(points.min(axis=0)), 0, (wide - 1, tall - 1)).astype(int)
    right, bottom = np.clip(np.ceil(points.max(axis=0)), (left + 1, top + 1), (wide, tall)).astype(int)
    mask = Image.new("L", (int(right - left), int(bottom - top)))
    ImageDraw.Draw(mask).polygon([(float(x), float(y)) for x, y in points - (left, top) - 0.5], fill=1)
    return (slice(top, bottom), slice(left, right)), np.asarray(mask, np.float32)


def _lay(made: Block, quad: Quad, canvas: _Canvas, strength: float, rng: np.random.Generator) -> None:
    """Draws a block into its quad of the picture, on a sign of its own or on what is there."""
    at, inside = _polygon(quad, canvas)
    tall, wide = inside.shape
    corner = at[1].start, at[0].start
    width, height = made.ink.size
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    across = homography(quad - corner, flat)
    warped = made.ink.transform((wide, tall), Image.Transform.PERSPECTIVE, across, Image.Resampling.BILINEAR)
    ink = np.asarray(warped, np.float32) / 255
    if rng.random() < 0.4:
        canvas.pixels[at] = laid(canvas.pixels[at], inside, background(tall, wide, 3, [], rng, strength))
    canvas.pixels[at] = _painted(canvas.pixels[at], ink, inside > 0, strength, rng)
    onto = homography(flat, quad)
    for text, (left, top, right, bottom) in made.words:
        edges = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)
        middles = edges + np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) / 2
        polygon = projected(middles, onto) - 0.5  # which names the centres of pixels
        where, within = _polygon(projected(edges, onto), canvas)
        rows, columns = (slice(w.start - c, w.stop - c) for w, c in zip(where, corner[::-1], strict=True))
        points = tuple((round(float(x), 2), round(float(y), 2)) for x, y in polygon)
        canvas.words.append(_Placed(text, points, ink[rows, columns] * within, where, _height(polygon)))


def _height(polygon: np.ndarray) -> float:
    """The mean of a word's left and right sides, in pixels."""
    return float(np.hypot(*(polygon[:2] - polygon[:1:-1]).T).mean()) + 1


def _painted(
    ground: np.ndarray, ink: np.ndarray, inside: np.ndarray, strength: float, rng: np.random.Generator
) -> np.ndarray:
    """The ink on its ground [h, w, 3], in a colour that stands out, or now and then hardly does."""
    grey = luminance(ground, LUMA)[inside]
    level, busy = float(grey.mean()), float(grey.std())
    colour = ink_colour(level, 110 - 65 * min(strength, 1.0) + 1.3 * busy, LUMA, rng)
    if rng.random() < 0.05 * strength:
        colour = tinted(level + float(rng.choice([-1, 1]) * rng.uniform(4, 14)), 3, LUMA, rng)
    if rng.random() < 0.15:
        ground = laid(ground, shadow(ink, rng), np.full(3, rng.choice([0.0, 20.0, 240.0]), np.float32))
    if rng.random() < 0.12:
        rim = Image.fromarray((ink * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(3))
        beyond = tinted(255.0 if float(colour @ LUMA) < 128 else 0.0, 20, LUMA, rng)
        ground = laid(ground, np.asarray(rim, np.float32) / 255, beyond)
    return laid(ground, ink * np.float32(rng.uniform(0.8, 1)), colour)


def _cover(canvas: _Canvas, word: _Placed, rng: np.random.Generator, strength: float) -> None:
    """A pole, a twig or a leaf before a part of a word."""
    polygon = np.array(word.polygon)
    u, v = rng.uniform(0, 1, 2)
    middle = (polygon[0] * (1 - u) + polygon[1] * u) * (1 - v) + (polygon[3] * (1 - u) + polygon[2] * u) * v
    turn, thick = rng.uniform(0, 2 * math.pi), word.height * rng.uniform(0.15, 0.6)
    long = thick * rng.uniform(1, 2) if rng.random() < 0.5 else word.height * rng.uniform(2, 5)
    angles = np.linspace(0, 2 * math.pi, 12, endpoint=False)
    shape = np.stack([np.cos(angles) * long, np.sin(angles) * thick], axis=1)
    shape *= rng.uniform(0.75, 1.1, (12, 1))
    ahead = np.array([(math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))])
    at, mask = _polygon(middle + shape @ ahead, canvas)
    canvas.pixels[at] = laid(
        canvas.pixels[at], mask, background(mask.shape[0], mask.shape[1], 3, [], rng, strength)
    )
    canvas.hidden[at] = np.maximum(canvas.hidden[at], mask)


def _told(canvas: _Canvas, grey: np.ndarray) -> list[Word]:
    """The words that are there, each with what a reader could make of it in the finished picture [H, W]."""
    words = []
    for one in canvas.words:
        total = float(one.ink.sum())
        hidden = float((one.ink * canvas.hidden[one.at]).sum()) / max(total, 1e-6)
        if total > 0 and hidden <= GONE:
            clear = _likeness(one.ink, grey[one.at].astype(np.float32)) >= LIKENESS
            legible = clear and hidden <= HIDDEN and one.height >= READABLE
            words.append(Word(one.text, one.polygon, legible))
    return words


def _likeness(ink: np.ndarray, grey: np.ndarray) -> float:
    """The correlation of pixels with ink, from 0 to 1, whichever of the two is darker."""
    ink, grey = ink - ink.mean(), grey - grey.mean()
    spread = float((ink * ink).sum()) * float((grey * grey).sum())
    return abs(float((ink * grey).sum())) / math.sqrt(spread) if spread > 0 else 0.0
