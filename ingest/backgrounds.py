"""What rendered words stand on: pieces of photographs, or textures made of slopes, clouds, stripes and lines."""

import hashlib
import io
import math
from pathlib import Path

import numpy as np
from PIL import Image

from ingest.images import SUFFIXES, published
from ingest.sources import Reject
from shards.errors import BadData

LONGEST_SIDE = 1024  # photographs are kept in memory no larger than this
MOST = 64  # photographs of a folder that are used: about 200 MB


def photographs(folder: str) -> tuple[list[Image.Image], list[str]]:
    """The photographs of a folder, in the order of the sha256 of their bytes, and these hashes."""
    if not folder:
        return [], []
    files = [path for path in Path(folder).rglob("*") if path.suffix.lower() in SUFFIXES]
    found = {hashlib.sha256(data := path.read_bytes()).hexdigest(): (path, data) for path in files}
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


def background(height: int, width: int, photos: list, rng: np.random.Generator, strength: float) -> np.ndarray:
    """float32 [height, width, 3] in grey levels, calm enough for a word to stand on."""
    level = rng.uniform(15, 240)
    if photos and rng.random() < 0.6:
        return _piece(photos[int(rng.integers(len(photos)))], height, width, rng, strength)
    hue = rng.normal(0, 25, 3) * (rng.random() < 0.8)
    ground = _texture(height, width, rng, strength)[..., None] + (level + hue - hue.mean()).astype(np.float32)
    return np.clip(ground, 0, 255)


def _piece(photo: Image.Image, height: int, width: int, rng: np.random.Generator, strength: float) -> np.ndarray:
    """A random piece of a photograph, magnified by up to 3, its contrast held back so that ink can differ from it."""
    zoom = rng.uniform(1, 3)
    wide, tall = min(photo.width, max(4, width / zoom)), min(photo.height, max(4, height / zoom))
    x, y = rng.uniform(0, photo.width - wide), rng.uniform(0, photo.height - tall)
    piece = photo.resize((width, height), Image.Resampling.BILINEAR, box=(x, y, x + wide, y + tall))
    pixels = np.asarray(piece, np.float32)
    mean, spread = pixels.mean(axis=(0, 1)), float(pixels.std())
    return mean + (pixels - mean) * np.float32(min(1.0, 32 * strength / max(spread, 1e-3)))


def _texture(height: int, width: int, rng: np.random.Generator, strength: float) -> np.ndarray:
    """float32 [height, width] around 0: a plain slope, and with some chance clouds, stripes and a line."""
    x = np.linspace(-1, 1, width, dtype=np.float32)
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    slope = rng.uniform(-25, 25, 2) * strength
    ground = np.float32(slope[0]) * x + np.float32(slope[1]) * y
    if rng.random() < 0.55:
        cells = (int(rng.integers(2, 14)), int(rng.integers(2, 30)))
        cloud = Image.fromarray(rng.standard_normal(cells, np.float32) * np.float32(rng.uniform(2, 18) * strength))
        ground = ground + np.asarray(cloud.resize((width, height), Image.Resampling.BILINEAR))
    if rng.random() < 0.2:
        turn, waves = rng.uniform(0, math.pi), rng.uniform(2, 9)
        wave = np.sin((math.cos(turn) * x * width / height + math.sin(turn) * y) * np.float32(waves))
        sharp = rng.uniform(1, 6)
        ground = ground + np.clip(wave * sharp, -1, 1) * np.float32(rng.uniform(3, 16) * strength)
    if rng.random() < 0.15:
        thick, change = int(rng.integers(1, 3)), rng.uniform(-60, 60) * strength
        place = int(rng.integers(0, max(1, height // 8)))
        rows = slice(place, place + thick) if rng.random() < 0.5 else slice(height - place - thick, height - place)
        ground[rows] += np.float32(change)
    return ground
