"""What a camera does to a picture: light that falls unevenly, blur, lost resolution, noise, JPEG.

H, W: height and width in pixels. Pixels are grey levels, 0 to 255.
"""

import io
import math
from functools import cache

import numpy as np
from PIL import Image, ImageFilter

from ingest.backgrounds import grid


def light(height: int, width: int, rng: np.random.Generator, strength: float) -> np.ndarray:
    """The light that falls on each pixel [H, W]: a slope, and sometimes the soft edge of a cast shadow."""
    x, y = grid(height, width)
    slope = (rng.uniform(-0.2, 0.2, 2) * strength).astype(np.float32)
    cast = (1 + slope[0] * x) + slope[1] * y
    if rng.random() < 0.2 * strength:
        turn, edge, sharp = rng.uniform(0, 2 * math.pi), rng.uniform(-0.6, 0.6), 1 / rng.uniform(0.03, 0.4)
        side = x * np.float32(math.cos(turn) * sharp) + y * np.float32(math.sin(turn) * sharp)
        side -= np.float32(edge * sharp)
        cast *= 1 - np.float32(rng.uniform(0.2, 0.5)) / (1 + np.exp(np.clip(side, -30, 30)))
    return cast


def seen(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> np.ndarray:
    """What lens, sensor and shrinking leave: blur, motion, lost resolution, noise. uint8 [H, W(, 3)]."""
    image = Image.fromarray(_bytes(pixels))
    width, height = image.size
    if rng.random() < 0.5:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.2, 1.3) * strength))
    if rng.random() < 0.12 * strength:
        image = image.filter(MOTIONS[int(rng.integers(len(MOTIONS)))])
    if rng.random() < 0.4 * strength:
        factor = 1 - rng.uniform(0.2, 0.62) * min(strength, 1.0)
        small = image.resize((max(4, round(width * factor)), round(height * factor)), Image.Resampling.BOX)
        image = small.resize((width, height), Image.Resampling.BICUBIC)
    seen = np.asarray(image)
    if rng.random() < 0.6:
        per_channel = seen.ndim == 3 and rng.random() < 0.3
        shape = seen.shape if per_channel else (*seen.shape[:2], *[1] * (seen.ndim - 2))
        noise = _noise(math.prod(shape), rng).reshape(shape) * np.float32(rng.uniform(1, 13) * strength)
        seen = _bytes(seen + noise)
    return seen


def _bytes(pixels: np.ndarray) -> np.ndarray:
    """Grey levels as uint8; a single channel loses its axis, as Pillow wants it."""
    out = np.clip(pixels, 0, 255, out=pixels).astype(np.uint8)
    return out[..., 0] if out.ndim == 3 and out.shape[2] == 1 else out


def _noise(count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` normal numbers: a piece of a fixed field, which is ten times quicker than new ones."""
    field = _field()
    if count < len(field):
        start = int(rng.integers(len(field) - count))
        return field[start : start + count]
    return np.resize(np.roll(field, int(rng.integers(len(field)))), count)


def jpeg(pixels: np.ndarray, rng: np.random.Generator, strength: float) -> bytes:
    """uint8 [H, W(, 3)] as a JPEG of a quality from 95 down to 30 at strength 1."""
    file = io.BytesIO()
    quality = int(rng.integers(max(20, 95 - round(65 * strength)), 96))
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


@cache
def _field() -> np.ndarray:
    return np.random.Generator(np.random.Philox(0)).standard_normal(1 << 19, np.float32)


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
