"""What rendered words stand on: pieces of photographs, or slopes, clouds, stripes and lines."""

import hashlib
import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from ingest.images import published
from ingest.sources import Reject
from shards.errors import BadData
from shards.pictures import SUFFIXES
from shards.storage import below, content

LONGEST_SIDE = 1024  # photographs are kept in memory no larger than this
MOST = 64  # photographs of a folder that are used: about 200 MB


def photographs(folder: str) -> tuple[list[Image.Image], list[str]]:
    """The photographs of a folder, in the order of the sha256 of their bytes, and these hashes."""
    if not folder:
        return [], []
    files = [path for path in below(Path(folder)) if path.suffix.lower() in SUFFIXES]
    found = {hashlib.sha256(data := content(path)).hexdigest(): (path, data) for path in files}
    if not found:
        raise BadData(f"backgrounds={folder}: no image there")
    names = sorted(found)[:MOST]
    return [_photograph(*found[name]) for name in names], names


def _photograph(path: Path, data: bytes) -> Image.Image:
    try:
        image = Image.open(io.BytesIO(published(data, str(path)).image)).convert("RGB")
    except Reject as reject:
        raise BadData(f"backgrounds: {reject}") from None
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.BOX)
    return image


def background(
    height: int, width: int, channels: int, photos: list, rng: np.random.Generator, strength: float
) -> np.ndarray:
    """float32 [height, width, channels] in grey levels, calm enough for a word to stand on."""
    if photos and rng.random() < 0.6:
        return _piece(photos[int(rng.integers(len(photos)))], height, width, channels, rng, strength)
    hue = rng.normal(0, 25, channels) if channels > 1 and rng.random() < 0.8 else np.zeros(channels)
    colour = (rng.uniform(15, 240) + hue - hue.mean()).astype(np.float32)
    ground = _texture(height, width, rng, strength)[..., None] + colour
    return np.clip(ground, 0, 255, out=ground)


def grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """x [width] and y [height, 1] from -1 to 1, float32."""
    x = np.arange(width, dtype=np.float32) * np.float32(2 / max(1, width - 1)) - 1
    y = np.arange(height, dtype=np.float32)[:, None] * np.float32(2 / max(1, height - 1)) - 1
    return x, y


def _piece(
    photo: Image.Image, height: int, width: int, channels: int, rng: np.random.Generator, strength: float
) -> np.ndarray:
    """A random piece of a photograph, magnified by up to 3, its contrast held back to leave room for ink."""
    zoom = rng.uniform(1, 3)
    wide, tall = min(photo.width, max(4, width / zoom)), min(photo.height, max(4, height / zoom))
    x, y = rng.uniform(0, photo.width - wide), rng.uniform(0, photo.height - tall)
    piece = photo.resize((width, height), Image.Resampling.BILINEAR, box=(x, y, x + wide, y + tall))
    piece = piece if channels > 1 else piece.convert("L")
    pixels = np.asarray(piece, np.float32).reshape(height, width, channels)
    mean, spread = pixels.mean(axis=(0, 1)), float(pixels[::2, ::2].std())
    return mean + (pixels - mean) * np.float32(min(1.0, 32 * strength / max(spread, 1e-3)))


def _texture(height: int, width: int, rng: np.random.Generator, strength: float) -> np.ndarray:
    """float32 [height, width] around 0: a plain slope, and with some chance clouds, stripes and a line."""
    x, y = grid(height, width)
    slope = (rng.uniform(-25, 25, 2) * strength).astype(np.float32)
    ground = slope[0] * x + slope[1] * y
    if rng.random() < 0.5:
        cells = (int(rng.integers(2, 14)), int(rng.integers(2, 30)))
        cloud = rng.standard_normal(cells, np.float32) * np.float32(rng.uniform(2, 18) * strength)
        ground += np.asarray(Image.fromarray(cloud).resize((width, height), Image.Resampling.BILINEAR))
    if rng.random() < 0.2:
        turn, waves, sharp = rng.uniform(0, math.pi), rng.uniform(2, 9), rng.uniform(1, 6)
        across, down = np.float32(waves * math.cos(turn) * width / height), np.float32(waves * math.sin(turn))
        wave = np.sin(across * x + down * y) * np.float32(sharp)
        ground += np.clip(wave, -1, 1) * np.float32(rng.uniform(3, 16) * strength)
    if rng.random() < 0.15:
        thick, change = int(rng.integers(1, 3)), rng.uniform(-60, 60) * strength
        place = int(rng.integers(0, max(1, height // 8)))
        start = place if rng.random() < 0.5 else height - place - thick
        ground[start : start + thick] += np.float32(change)
    return ground
