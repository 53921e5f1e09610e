"""Scenes of which each pixel is known: dark pictures with words that are bright, or shining, all over."""

import io
from pathlib import Path

import numpy as np
import shapely
from PIL import Image, ImageDraw

from shards.sample import Record, Sample, Word

SHINING, DARK = 255, 20


def picture(size, words) -> bytes:
    """A PNG of that size (width, height) with each polygon filled."""
    image = Image.new("L", size, DARK)
    for word in words:
        ImageDraw.Draw(image).polygon(word.polygon, fill=SHINING)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def scene(seed: int, size: tuple[int, int]) -> Sample:
    """One to three words, apart from each other, a little slanted."""
    draw, (width, height) = np.random.default_rng(seed), size
    words = []
    for left in np.arange(0, width - 30, 36)[: 1 + seed % 3]:
        x, y = left + draw.uniform(3, 6), draw.uniform(4, height - 24)
        w, h, slant = draw.uniform(16, 22), draw.uniform(9, 15), draw.uniform(0, 3)
        words.append(Word("w", ((x, y), (x + w, y + slant), (x + w, y + h + slant), (x, y + h))))
    return Sample(picture(size, words), "png", Record(tuple(words), size, f"{seed}.png"))


def shards(hand, folder: Path, sizes, split: str = "train", first: int = 0) -> Path:
    """A finished split of one scene of each size."""
    return hand.written(folder, split, [scene(first + i, size) for i, size in enumerate(sizes)], "painted")


def agreement(view: np.ndarray, words) -> float:
    """IoU of what shines in a view [H,W], 0..1, and what lies under the polygons."""
    height, width = view.shape
    shown = view > (DARK + SHINING) / 2 / 255
    marks = [shapely.make_valid(shapely.Polygon(word.polygon)) for word in words]
    whole = shapely.union_all(marks) if marks else shapely.Polygon()
    shapely.prepare(whole)
    y, x = np.mgrid[:height, :width] + 0.5
    under = shapely.contains_xy(whole, x, y)
    return float((shown & under).sum() / max(1, (shown | under).sum()))
