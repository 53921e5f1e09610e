"""Photos and what is annotated on them, words or lines: whole, or one crop to each that is legible and has a
text.

Crops are cut by one of three rules; points outside the photo are first moved to its border:

box          the upright box around the outline
mask         that box, black outside the outline
perspective  an outline of four points made upright, so that turned text reads from left to right
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from ingest import crops
from ingest.labels import decoded_lines
from ingest.listing import Tree, images_below
from ingest.photos import Cut, Photos, Size, scene
from ingest.sources import Reject
from shards import geometry
from shards.errors import BadData, BadSettings
from shards.geometry import Polygon
from shards.lookup import unknown
from shards.sample import Meta, Sample, Word
from shards.storage import below
from shards.written import digest


@dataclass(frozen=True, slots=True)
class Piece:
    """A word or a line with its outline, where the listing has it (a line or an id), and in which script."""

    word: Word
    place: str
    script: str | None = None


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo by its path, what its listing is called, its pieces in their order, and its size as annotated;
    None: there is no listing, and no size in it.
    """

    image: str
    listing: str
    pieces: tuple[Piece, ...] | None
    size: Size | None = None

    def listed(self) -> tuple[Piece, ...]:
        """The pieces. A photo without a listing is a Reject: it is not a photo without text."""
        if self.pieces is None:
            raise Reject("missing_list", self.image, f"no {self.listing}")
        return self.pieces


Parse = Callable[[str], tuple[Word, str | None]]  # a line -> its word and script; else a ValueError


def pieces(file: Path, parse: Parse) -> tuple[Piece, ...]:
    """The pieces of a list with one to a line; a line that does not fit is a BadData with file and line."""
    found = []
    for number, line in enumerate(decoded_lines(file), 1):
        text = line.removesuffix("\n").removesuffix("\r")
        if text:
            try:
                word, script = parse(text)
            except ValueError as error:
                raise BadData(f"{file}:{number}: {error}: {text[:200]!r}") from None
            found.append(Piece(word, str(number), script))
    return tuple(found)


def paired(
    images: Path, lists: Path, parse: Parse, suffix: str = ".txt", prefix: str = "", besides: str = ""
) -> list[Photo]:
    """All photos below two mirrored folders that have an image (a/x.jpg), a list (a/PREFIXx.txt) or both, by
    name, numbers in it by their size. besides: the name of a file among the lists that is none.
    """
    names: dict[str, str] = {}
    for name in images_below(images):
        stem = PurePosixPath(name).with_suffix("").as_posix()
        if names.setdefault(stem, name) != name:
            raise BadData(f"{images / name}: {names[stem]} would share its list")
    files = {}
    for file in below(lists):
        if not (file.name.startswith(prefix) and file.name.endswith(suffix)) or file.name == besides:
            continue
        place = file.relative_to(lists).with_name(file.name.removeprefix(prefix).removesuffix(suffix))
        files[place.as_posix()] = file
    photos = []
    for stem in sorted(names.keys() | files.keys(), key=_natural):
        listing = PurePosixPath(stem).with_name(prefix + PurePosixPath(stem).name + suffix).as_posix()
        found = pieces(files[stem], parse) if stem in files else None
        photos.append(Photo(names.get(stem, f"{stem}.jpg"), listing, found))
    return photos


def photos_digest(photos: list[Photo]) -> str:
    """sha256 of all that the lists say: a changed listing is another data set."""
    return digest([[photo.image, photo.size, _facts(photo)] for photo in photos])


class Scenes:
    """Whole photos. shared: what is known of all; a photo and its pieces are one group below its group."""

    def __init__(self, rows: list[Photo], tree: Tree, shared: Meta) -> None:
        self.rows, self.photos, self.shared = rows, Photos(tree), shared
        self.options: dict[str, object] = {"listing": photos_digest(rows)}

    def group(self, row: int) -> str:
        """What a row shares with others: its photo."""
        return f"{self.shared.group}/{self.rows[row].image}"

    def read(self, row: int) -> Sample:
        """The photo with its pieces; Reject: missing_list, or see `Photos.image`."""
        photo = self.rows[row]
        found = photo.listed()
        scripts = {piece.script for piece in found if piece.word.legible}
        meta = replace(
            self.shared, group=self.group(row), script=scripts.pop() if len(scripts) == 1 else None
        )
        image = self.photos.image(photo.image, photo.size)
        return scene(image, photo.image, [piece.word for piece in found], meta)


class Crops:
    """Legible pieces with a text, named by list and place; a photo without a list is one row, rejected."""

    def __init__(self, listed: list[Photo], tree: Tree, shared: Meta, crop: str) -> None:
        self.photos, self.shared, self.cut = Photos(tree), shared, CROPS[crop]
        self.options = {"listing": photos_digest(listed), "crop": crop, "cutting": crops.VERSION}
        self.rows: list[tuple[Photo, Piece | None]] = []
        for photo in listed:
            found = (None,) if photo.pieces is None else photo.pieces
            self.rows += [
                (photo, one) for one in found if one is None or (one.word.legible and one.word.text)
            ]

    def group(self, row: int) -> str:
        """What a row shares with others: its photo."""
        return f"{self.shared.group}/{self.rows[row][0].image}"

    def read(self, row: int) -> Sample:
        """The crop as PNG; Reject: missing_list, outside_photo, not_four_points, not_convex, or the photo."""
        photo, piece = self.rows[row]
        if piece is None or piece.word.polygon is None:
            raise Reject("missing_list", photo.image, f"no {photo.listing}")
        meta = replace(self.shared, group=self.group(row), script=piece.script)
        origin = f"{photo.listing}:{piece.place}"
        cut = Cut(photo.image, photo.size, piece.word.polygon, piece.word.text or "", origin, meta)
        return self.photos.word(cut, self.cut)


def at_level(level: str, crop: str, photos: list[Photo], tree: Tree, shared: Meta) -> Scenes | Crops:
    """The rows of level=scenes or level=crops; another name of a level or rule is a BadSettings."""
    for name, value, known in (("level", level, LEVELS), ("crop", crop, CROPS)):
        if value not in known:
            raise BadSettings(unknown(name, value, list(known)))
    if level == "crops":
        return Crops(photos, tree, shared, crop)
    if crop != next(iter(CROPS)):
        raise BadSettings(f"crop={crop} says how level=crops cuts; level is {level}")
    return Scenes(photos, tree, shared)


def _box(photo: np.ndarray, outline: Polygon, origin: str) -> Image.Image:
    return crops.box(photo, _around(outline), origin)


def _masked(photo: np.ndarray, outline: Polygon, origin: str) -> Image.Image:
    centres = [(x + 0.5, y + 0.5) for x, y in outline]  # as `masked` counts: pixel 0 from 0 to 1
    return crops.masked(photo, _around(outline), origin, centres)


def _upright(photo: np.ndarray, outline: Polygon, origin: str) -> Image.Image:
    if len(outline) != 4:
        raise Reject("not_four_points", origin, f"{len(outline)} points; crop=box and crop=mask take any")
    return crops.perspective(photo, outline, origin)


LEVELS = ("crops", "scenes")
CROPS = {"box": _box, "mask": _masked, "perspective": _upright}


def _around(outline: Polygon) -> Polygon:
    """Corners of the pixels that the box around an outline touches, half pixels rounded outward."""
    left, top, right, bottom = geometry.box(outline)
    left, top, right, bottom = math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _natural(name: str) -> tuple[list[tuple[bool, int, str]], str]:
    """A key that puts img_9 before img_10, and digits before letters."""
    parts = ((part.isascii() and part.isdigit(), part) for part in re.findall(r"[0-9]+|[^0-9]+", name))
    return [(not digits, int(part) if digits else 0, part) for digits, part in parts], name


def _facts(photo: Photo) -> list[object] | None:
    if photo.pieces is None:
        return None
    return [[p.place, p.word.text, p.word.legible, p.word.polygon, p.script] for p in photo.pieces]


class Leveled:
    """A source whose rows are those of its level: `Scenes`, `Crops`, or another that offers as much."""

    level: Any

    def __len__(self) -> int:
        return len(self.level.rows)

    def group(self, row: int) -> str:
        """What a row shares with others: its image."""
        return self.level.group(row)

    def read(self, row: int) -> Sample:
        """The image as published, or what is cut from it; Reject: see the level's own `read`."""
        return self.level.read(row)
