"""Photos whose annotations count pixels, taken whole or cut into words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from ingest import crops
from ingest.listing import Tree, image_at
from ingest.sources import Reject
from shards.geometry import Polygon
from shards.pictures import Published
from shards.sample import Meta, Point, Record, Sample, Word

Rule = Callable[[np.ndarray, Polygon, str], Image.Image]  # (photo [H,W,3], corners, origin) -> crop
Size = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Cut:
    """A word to be cut out of a photo by its corners, and what is then known of it."""

    photo: str  # its path
    size: Size | None  # of the photo (width, height), as annotated; None: not said
    quad: tuple[Point, ...]
    text: str
    origin: str
    meta: Meta


class Photos:
    """The photos of a tree. The last one stays decoded, since the words of a photo follow one another."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.pixels = lru_cache(maxsize=1)(self._pixels)

    def image(self, path: str, size: Size | None = None) -> Published:
        """A photo as it will be stored; Reject: missing_image, unreadable, turned, size_differs, or it
        cannot be stored. Nobody knows whether corners were taken before or after EXIF's turn.
        """
        image = image_at(self.tree, path, path, "")
        if image.turned:
            raise Reject("turned", path, "by EXIF, so that its corners might not fit")
        if size not in (None, image.size):
            raise Reject("size_differs", path, f"{image.size} pixels, annotated as {size}")
        return image

    def word(self, cut: Cut, rule: Rule = crops.box) -> Sample:
        """The crop as PNG, marked as transcoded; a photo that is rejected rejects each of its words."""
        try:
            pixels = self.pixels(cut.photo, cut.size)
        except Reject as reject:
            raise Reject(reject.reason, cut.origin, f"{reject.origin} {reject.detail}".rstrip()) from None
        crop = rule(pixels, cut.quad, cut.origin)
        record = Record((Word(cut.text),), crop.size, cut.origin, cut.meta, transcoded=True)
        return Sample(crops.encoded(crop), "png", record)

    def _pixels(self, path: str, size: Size | None) -> np.ndarray:
        return crops.decoded(self.image(path, size).image)


def scene(image: Published, path: str, words: Sequence[Word], meta: Meta) -> Sample:
    """A photo with all its words."""
    record = Record(tuple(words), image.size, path, meta, transcoded=image.transcoded)
    return Sample(image.image, image.suffix, record)
