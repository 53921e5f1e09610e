"""Draws a whole picture with words in it, as a camera might have seen it: pure in all that it is told.

A place -> signs and bare lines of words, tilted, none on another -> things before them -> light, blur, noise,
JPEG. A word's polygon is its ink's rectangle as the camera sees it, hidden or not; H, W: pixels.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from ingest import scenery
from ingest.backgrounds import background
from ingest.canvas import READABLE, Canvas, Placed
from ingest.fonts import Face
from ingest.lettering import Block, Quad, block, projected, tilted
from ingest.optics import jpeg, light, seen
from ingest.render import LUMA, homography, ink_colour, laid, luminance, shadow, tinted
from shards import geometry
from shards.sample import Word

Able = Callable[[str], list[Face]]  # the fonts that spell a text
VERSION = 1  # of the drawing: part of the identity of every set of scenes
CALM = 0.6  # of the strength of blur and noise: the words of a scene have fewer pixels than a crop's


@dataclass(frozen=True, slots=True)
class Look:
    """What pictures are like: (width, height), words at least and at most, heights of lines in pixels."""

    size: tuple[int, int]
    words: tuple[int, int]
    heights: tuple[float, float]
    wordless: float
    strength: float


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
    canvas = Canvas(scenery.picture(look.size, photos, rng, look.strength))
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
    return jpeg(pixels, rng, CALM * look.strength), tuple(canvas.told(grey))


def _write(
    texts: list[str],
    wanted: int,
    canvas: Canvas,
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
        quad = made and canvas.room(tilted(made.ink.size, look.size, rng, look.strength), rng)
        if made is None or quad is None:
            top = max(low, 0.8 * top)
            texts.append(texts.pop(0))
            continue
        _lay(made, quad, canvas, look.strength, rng)
        set_here = {word.text for word in made.words}
        texts[:] = [text for text in texts if text not in set_here]


def _heights(lines: int, low: float, top: float, look: Look, rng: np.random.Generator) -> list[float]:
    """Heights of the lines of a block, the small more often; now and then too small to be read."""
    if rng.random() < 0.05 * look.strength:
        return [rng.uniform(0.4, 0.7) * READABLE] * lines
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


def _lay(made: Block, quad: Quad, canvas: Canvas, strength: float, rng: np.random.Generator) -> None:
    """Draws a block into its quad of the picture, on a sign of its own or on what is there."""
    at, inside = canvas.polygon(quad)
    ink = _warped(made, quad - (at[1].start, at[0].start), inside.shape)
    if rng.random() < 0.4:
        sign = background(inside.shape[0], inside.shape[1], 3, [], rng, strength)
        canvas.pixels[at] = laid(canvas.pixels[at], inside, sign)
    canvas.pixels[at] = _painted(canvas.pixels[at], ink, inside > 0, strength, rng)
    onto = homography(_corners(made), quad)
    for word in made.words:
        left, top, right, bottom = word.box
        edges = np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float)
        middles = edges + np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)]) / 2
        polygon = projected(middles, onto) - 0.5  # which names the centres of pixels
        points = tuple((round(float(x), 2), round(float(y), 2)) for x, y in polygon)
        where, within = canvas.polygon(projected(edges, onto))
        rows, columns = (slice(w.start - a.start, w.stop - a.start) for w, a in zip(where, at, strict=True))
        height = (geometry.sides(points)[1] + geometry.sides(points)[3]) / 2 + 1
        size = word.size * height / (bottom - top)
        canvas.words.append(Placed(word.text, points, ink[rows, columns] * within, where, height, size))


def _corners(made: Block) -> Quad:
    width, height = made.ink.size
    return np.array([(0, 0), (width, 0), (width, height), (0, height)], float)


def _warped(made: Block, quad: Quad, shape: tuple[int, ...]) -> np.ndarray:
    """The ink of a block in its quad of a picture of a shape (height, width), from 0 to 1."""
    across = homography(quad, _corners(made))
    size = shape[1], shape[0]
    warped = made.ink.transform(size, Image.Transform.PERSPECTIVE, across, Image.Resampling.BILINEAR)
    return np.asarray(warped, np.float32) / 255


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


def _cover(canvas: Canvas, word: Placed, rng: np.random.Generator, strength: float) -> None:
    """A pole, a twig or a leaf before a part of a word."""
    polygon = np.array(word.polygon)
    u, v = rng.uniform(0, 1, 2)
    middle = (polygon[0] * (1 - u) + polygon[1] * u) * (1 - v) + (polygon[3] * (1 - u) + polygon[2] * u) * v
    turn, thick = rng.uniform(0, 2 * math.pi), word.height * rng.uniform(0.15, 0.6)
    long = thick * rng.uniform(1, 2) if rng.random() < 0.5 else word.height * rng.uniform(1, 3)
    angles = np.linspace(0, 2 * math.pi, 12, endpoint=False)
    shape = np.stack([np.cos(angles) * long, np.sin(angles) * thick], axis=1)
    shape *= rng.uniform(0.75, 1.1, (12, 1))
    ahead = np.array([(math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))])
    at, mask = canvas.polygon(middle + shape @ ahead)
    canvas.pixels[at] = laid(
        canvas.pixels[at], mask, background(mask.shape[0], mask.shape[1], 3, [], rng, strength)
    )
    canvas.hidden[at] = np.maximum(canvas.hidden[at], mask)
