"""Draws one word as a camera might have seen it: pure in (text, font, backgrounds, strength, random numbers).

Glyphs -> rotation, perspective and stretch -> a textured or photographed ground, drop shadow, outline ->
light and cast shadow -> blur, lost resolution, noise -> JPEG. H, W: the crop's height and width in pixels.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ingest.backgrounds import background
from ingest.fonts import sized
from ingest.optics import jpeg, light, seen

VERSION = 1  # of the drawing: part of the identity of every rendered set
LUMA, ONE = np.array([0.299, 0.587, 0.114], np.float32), np.ones(1, np.float32)
HEIGHTS = (32, 48)  # of the crop
PROBE = 40  # font size at which a word is measured first
LEAST_CONTRAST = (
    14.0  # grey levels between the mean of ink and the mean of ground; below it nothing can be read
)
Quad = np.ndarray  # [4, 2] corners, clockwise from the top left


@dataclass(frozen=True, slots=True)
class Crop:
    """An encoded JPEG and its (width, height)."""

    image: bytes
    size: tuple[int, int]


def word_image(text: str, font: Path, photos: list, strength: float, rng: np.random.Generator) -> Crop | None:
    """The word, grey or RGB, or None when it came out unreadable: draw again with other numbers."""
    height = int(rng.integers(HEIGHTS[0], HEIGHTS[1] + 1))
    glyphs = _glyphs(text, font, height, rng, strength)
    if glyphs is None:
        return None
    ink = _placed(glyphs, height, rng, strength)
    luma = LUMA if rng.random() < 0.75 else ONE  # the weight of each channel: colour, or grey from the start
    pixels = seen(_coloured(ink, luma, photos, rng, strength), rng, strength)
    if _contrast(pixels, ink, luma) < LEAST_CONTRAST:
        return None
    return Crop(jpeg(pixels, rng, strength), (pixels.shape[1], height))


def _glyphs(
    text: str, font: Path, height: int, rng: np.random.Generator, strength: float
) -> Image.Image | None:
    """The bare word, white on black, cut to its ink and about as tall as it will be in the crop."""
    shaped = not text.isascii()
    left, top, right, bottom = sized(font, PROBE, shaped).getbbox(text)
    if right - left < 1 or bottom - top < 1:
        return None
    size = round(PROBE * height * rng.uniform(0.7, 0.95) / (bottom - top))
    size = min(max(size, 12), 2 * height)  # dashes and dots alone would grow without limit
    face = sized(font, size, shaped)
    bold = int(rng.random() < 0.12 * strength)
    loose = 0.0 if shaped or rng.random() < 0.7 else size * rng.uniform(-0.04, 0.25)
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
    """How much ink each pixel of the crop has, float32 [H, W] in 0..1, after stretch, turn, perspective."""
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
    ink = glyphs.transform(
        out, Image.Transform.PERSPECTIVE, homography(quad, source), Image.Resampling.BILINEAR
    )
    return np.asarray(ink, np.float32) / 255


def homography(points: Quad, images: Quad) -> list[float]:
    """The 8 numbers that take each of four points to its image, in the order Pillow wants them."""
    rows = np.zeros((8, 8))
    rows[0::2, 0:2] = rows[1::2, 3:5] = points
    rows[0::2, 2] = rows[1::2, 5] = 1
    rows[:, 6:8] = -images.reshape(8, 1) * np.repeat(points, 2, axis=0)
    return np.linalg.solve(rows, images.reshape(8)).tolist()


def _coloured(
    ink: np.ndarray, luma: np.ndarray, photos: list, rng: np.random.Generator, strength: float
) -> np.ndarray:
    """The word on its ground, float32 [H, W, channels] in grey levels."""
    height, width = ink.shape
    ground = background(height, width, len(luma), photos, rng, strength)
    grey = luminance(ground[::3, ::3], luma)
    level, busy = float(grey.mean()), float(grey.std())
    colour = ink_colour(level, 110 - 65 * min(strength, 1.0) + 1.3 * busy, luma, rng)
    if rng.random() < 0.2:
        shade = np.full(len(luma), rng.choice([0.0, 20.0, 240.0]), np.float32)
        ground = laid(ground, shadow(ink, rng), shade)
    if rng.random() < 0.08:
        rim = Image.fromarray((ink * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(3))
        beyond = tinted(level + (level - float(colour @ luma)) / 2, 20, luma, rng)
        ground = laid(ground, np.asarray(rim, np.float32) / 255, beyond)
    pixels = laid(ground, ink, colour)
    pixels *= light(height, width, rng, strength)[..., None]
    return pixels


def ink_colour(ground: float, least: float, luma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A colour whose luminance is `least` off the ground's or more, on either side where there is room."""
    darker, lighter = ground - least, 255 - least - ground
    up = lighter > 0 and (darker <= 0 or rng.random() < lighter / (darker + lighter))
    room = max(lighter if up else darker, 0.0) * rng.random() ** 0.7 + least
    return tinted(ground + room if up else ground - room, 35, luma, rng)


def tinted(level: float, tint: float, luma: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random colour [channels] of a given luminance."""
    hue = rng.normal(0, tint, len(luma))
    return np.clip(level + hue - hue @ luma, 0, 255).astype(np.float32)


def laid(under: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> np.ndarray:
    """A colour, or the pixels of one [H, W, channels], over others, as far as they are covered [H, W]."""
    over = colour - under
    over *= cover[..., None]
    over += under
    return over


def shadow(ink: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The ink moved by 1 to 3 pixels, softened and thinned: a drop shadow."""
    dx, dy = (int(v) for v in rng.integers(-3, 4, 2))
    image = Image.fromarray((ink * rng.uniform(90, 220)).astype(np.uint8))
    moved = Image.new("L", image.size)
    moved.paste(image, (dx, dy or 2))
    return np.asarray(moved.filter(ImageFilter.BoxBlur(rng.uniform(0, 1.5))), np.float32) / 255


def _contrast(pixels: np.ndarray, ink: np.ndarray, luma: np.ndarray) -> float:
    """Grey levels between the mean of what is ink and the mean of what is not."""
    grey = luminance(pixels.reshape(*ink.shape, len(luma)), luma)
    total = float(ink.sum())
    if total < 4 or total > ink.size - 4:
        return 0.0
    inked = float((grey * ink).sum())
    return abs(inked / total - (float(grey.sum()) - inked) / (ink.size - total))


def luminance(pixels: np.ndarray, luma: np.ndarray) -> np.ndarray:
    """Luminance [H, W]. Not a matrix product: BLAS would start threads in every worker."""
    if len(luma) == 1:
        return pixels[..., 0].astype(np.float32)
    return pixels[..., 0] * luma[0] + pixels[..., 1] * luma[1] + pixels[..., 2] * luma[2]
