"""Draws one word as a camera might have seen it: pure in (text, font, backgrounds, strength, random generator).

Glyphs -> rotation, perspective and stretch -> a textured or photographed ground, drop shadow, outline -> light and cast
shadow -> blur, lost resolution, noise -> JPEG. H and W are the crop's height and width in pixels.
"""

import io
import math
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ingest.backgrounds import background
from ingest.fonts import sized

VERSION = 1  # of the drawing: part of the identity of every rendered set
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
HEIGHTS = (32, 48)  # of the crop
PROBE = 40  # font size at which a word is measured first
LEAST_CONTRAST = 14.0  # grey levels between the mean of ink and the mean of ground; below it nothing can be read
Quad = np.ndarray  # [4, 2] corners, clockwise from the top left


def word_image(text: str, font: Path, photos: list, strength: float, rng: np.random.Generator) -> bytes | None:
    """A JPEG of the word, grey or RGB, or None when it came out unreadable: draw again with other numbers."""
    height = int(rng.integers(HEIGHTS[0], HEIGHTS[1] + 1))
    glyphs = _glyphs(text, font, height, rng, strength)
    if glyphs is None:
        return None
    ink = _placed(glyphs, height, rng, strength)
    pixels = _coloured(ink, photos, rng, strength)
    image = _seen(pixels, rng, strength)
    if _contrast(image, ink) < LEAST_CONTRAST:
        return None
    file = io.BytesIO()
    image.save(file, "JPEG", quality=int(rng.integers(max(20, 95 - round(65 * strength)), 96)))
    return file.getvalue()


def _glyphs(text: str, font: Path, height: int, rng: np.random.Generator, strength: float) -> Image.Image | None:
    """The bare word, white on black, cut to its ink and about as tall as it will be in the crop."""
    shaped = not text.isascii()
    left, top, right, bottom = sized(font, PROBE, shaped).getbbox(text)
    if right - left < 1 or bottom - top < 1:
        return None
    size = round(PROBE * height * rng.uniform(0.7, 0.95) / (bottom - top))
    size = min(max(size, 12), 2 * height)  # dashes and dots alone would grow without limit
    face = sized(font, size, shaped)
    bold = int(rng.random() < 0.12 * strength)
    loose = 0.0 if shaped or rng.random() < 0.6 else size * rng.uniform(-0.04, 0.25)
    arc = 0.0 if shaped or rng.random() < 0.85 else size * rng.uniform(-0.25, 0.25) * strength
    room = math.ceil(face.getlength(text) + abs(loose) * len(text)) + 2 * size
    image = Image.new("L", (room, 3 * size))
    draw = ImageDraw.Draw(image)
    if loose or arc:
        x = float(size)
        for place, letter in enumerate(text):
            across = 2 * (place + 0.5) / len(text) - 1
            draw.text((x, size + arc * across * across), letter, 255, face, stroke_width=bold)
            x += face.getlength(letter) + loose
    else:
        draw.text((size, size), text, 255, face, stroke_width=bold)
    box = image.getbbox()
    return image.crop(box) if box else None


def _placed(glyphs: Image.Image, height: int, rng: np.random.Generator, strength: float) -> np.ndarray:
    """How much ink each pixel of the crop has, float32 [H, W] in 0..1, after stretch, turn and perspective."""
    width, tall = glyphs.size
    stretch = math.exp(rng.normal(0, 0.12) * strength)
    half = np.array([width * stretch, tall]) / 2
    quad = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * half
    aspect = max(1.0, half[0] / half[1])
    turn = math.radians(min(max(rng.normal(0, 4.5), -14), 14) * strength) * min(1.0, 4 / aspect)
    slant = math.tan(math.radians(rng.normal(0, 5) * strength))
    quad[:, 0] -= quad[:, 1] * slant
    quad = quad @ np.array([(math.cos(turn), math.sin(turn)), (-math.sin(turn), math.cos(turn))])
    quad += rng.uniform(-0.08, 0.08, (4, 2)) * strength * tall
    margins = tall * rng.uniform(-0.02, 0.16, 4)  # left, top, right, bottom
    size = np.ptp(quad, axis=0) + margins[:2] + margins[2:]
    scale = height / size[1]
    quad = (quad - quad.min(axis=0) + margins[:2]) * scale
    out = (max(8, round(size[0] * scale)), height)
    source = np.array([(0, 0), (width, 0), (width, tall), (0, tall)], float)
    ink = glyphs.transform(out, Image.Transform.PERSPECTIVE, _homography(quad, source), Image.Resampling.BICUBIC)
    return np.asarray(ink, np.float32) / 255


def _homography(points: Quad, images: Quad) -> list[float]:
    """The 8 numbers that take each of four points to its image, in the order Pillow wants them."""
    rows = np.zeros((8, 8))
    rows[0::2, 0:2] = rows[1::2, 3:5] = points
    rows[0::2, 2] = rows[1::2, 5] = 1
    rows[:, 6:8] = -images.reshape(8, 1) * np.repeat(points, 2, axis=0)
    return np.linalg.solve(rows, images.reshape(8)).tolist()


def _coloured(ink: np.ndarray, photos: list, rng: np.random.Generator, strength: float) -> np.ndarray:
    """The word on its ground in colour, float32 [H, W, 3] in grey levels."""
    ground = background(ink.shape[0], ink.shape[1], photos, rng, strength)
    level = float((ground.mean(axis=(0, 1)) * LUMA).sum())
    colour = _ink_colour(level, rng, strength)
    if rng.random() < 0.2:
        ground = _laid(ground, _shadow(ink, rng), np.full(3, rng.choice([0.0, 20.0, 240.0]), np.float32))
    if rng.random() < 0.08:
        rim = Image.fromarray((ink * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(3))
        ground = _laid(ground, np.asarray(rim, np.float32) / 255, _tinted(level + (level - colour @ LUMA) / 2, 20, rng))
    pixels = _laid(ground, ink, colour)
    return pixels * _light(*ink.shape, rng, strength)[..., None]


def _ink_colour(ground: float, rng: np.random.Generator, strength: float) -> np.ndarray:
    """A colour whose luminance stands off the ground's, on either side of it where there is room."""
    least = 110 - 65 * min(strength, 1.0)
    darker, lighter = ground - least, 255 - least - ground
    up = lighter > 0 and (darker <= 0 or rng.random() < lighter / (darker + lighter))
    room = max(lighter if up else darker, 0.0) * rng.random() ** 0.7 + least
    return _tinted(ground + room if up else ground - room, 35, rng)


def _tinted(level: float, tint: float, rng: np.random.Generator) -> np.ndarray:
    """A random colour [3] of a given luminance."""
    hue = rng.normal(0, tint, 3)
    return np.clip(level + hue - hue @ LUMA, 0, 255).astype(np.float32)


def _laid(under: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return under + cover[..., None] * (colour - under)


def _shadow(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The ink moved by 1 to 3 pixels, softened and thinned: a drop shadow."""
    dx, dy = (int(v) for v in rng.integers(-3, 4, 2))
    image = Image.fromarray((ink * rng.uniform(90, 220)).astype(np.uint8))
    moved = Image.new("L", image.size)
    moved.paste(image, (dx, dy or 2))
    return np.asarray(moved.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.5))), np.float32) / 255


def _light(height: int, width: int, rng: np.random.Generator, strength: float) -> np.ndarray:
    """The light that falls on each pixel [H, W]: a slope, and sometimes the soft edge of a cast shadow."""
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    slope = rng.uniform(-0.2, 0.2, 2) * strength
    light = 1 + np.float32(slope[0]) * x + np.float32(slope[1]) * y
    if rng.random() < 0.2 * strength:
        turn, edge, soft = rng.uniform(0, 2 * math.pi), rng.uniform(-0.6, 0.6), rng.uniform(0.03, 0.4)
        side = (math.cos(turn) * x + math.sin(turn) * y - edge) / soft
        light = light * (1 - rng.uniform(0.2, 0.5) / (1 + np.exp(np.clip(side, -30, 30))))
    return light.astype(np.float32)


def _seen(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> Image.Image:
    """What lens, sensor and shrinking leave of it: blur, motion, lost resolution, noise."""
    if rng.random() < 0.25:
        pixels = pixels @ LUMA
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.3) * strength))
    if rng.random() < 0.12 * strength:
        image = image.filter(MOTIONS[int(rng.integers(len(MOTIONS)))])
    if rng.random() < 0.4 * strength:
        width, height = image.size
        factor = 1 - rng.uniform(0.2, 0.62) * min(strength, 1.0)
        small = image.resize((max(4, round(width * factor)), round(height * factor)), Image.Resampling.BOX)
        image = small.resize((width, height), Image.Resampling.BICUBIC)
    if rng.random() < 0.6:
        clean = np.asarray(image, np.float32)
        shape = clean.shape if rng.random() < 0.3 else (*clean.shape[:2], *[1] * (clean.ndim - 2))
        noise = rng.standard_normal(shape, np.float32) * np.float32(rng.uniform(1, 13) * strength)
        image = Image.fromarray(np.clip(clean + noise, 0, 255).astype(np.uint8))
    return image


def _contrast(image: Image.Image, ink: np.ndarray) -> float:
    """Grey levels between what is ink and what is not."""
    grey = np.asarray(image.convert("L"), np.float32)
    total = float(ink.sum())
    if total < 4 or total > ink.size - 4:
        return 0.0
    inside = float((grey * ink).sum()) / total
    return abs(inside - (float(grey.sum()) - inside * total) / (ink.size - total))


def _line(steps: list[tuple[int, int]]) -> ImageFilter.Kernel:
    """A 5x5 kernel that smears along one line."""
    return ImageFilter.Kernel((5, 5), [float((x, y) in steps) for y in range(5) for x in range(5)])


MOTIONS = (
    _line([(1, 2), (2, 2), (3, 2)]),
    _line([(0, 2), (1, 2), (2, 2), (3, 2), (4, 2)]),
    _line([(2, 1), (2, 2), (2, 3)]),
    _line([(1, 1), (2, 2), (3, 3)]),
    _line([(3, 1), (2, 2), (1, 3)]),
)
