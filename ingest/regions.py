"""Photos and the words annotated on them, as ICDAR 2013 and 2015 publish them: a list tells of an image.

QUADS, gt_img_1.txt of img_1.jpg; split at the first eight commas, nothing is quoted:

    377,117,463,117,465,130,378,130,Genaxis Theatre     corners, clockwise from the word's top left; its text
    374,155,409,155,409,170,374,170,###                 a word that nobody can read

RECTANGLES, gt_100.txt of 100.jpg, or gt_img_1.txt of img_1.jpg; quoted as in `ingest.labels`:

    158 128 411 181 "Footpath"                          left, top, right, bottom
    38, 43, 920, 215, "Tiredness"

UTF-8 with an optional byte order mark.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ingest.labels import decoded_lines, unquoted
from ingest.sources import Reject
from shards.errors import BadData
from shards.sample import Point, Word
from shards.written import digest

UNREADABLE = "###"
CORNER = re.compile(r"-?[0-9]{1,6}")
RECTANGLE = re.compile(r"([0-9]{1,6})(,? )([0-9]{1,6})\2([0-9]{1,6})\2([0-9]{1,6})\2(.*)", re.DOTALL)
CORNERS_AND_TEXT = 'x1, y1, x2, y2, "text" or x1 y1 x2 y2 "text" in whole pixels'
Said = tuple[str | None, tuple[Point, ...]]  # a text (None: not legible) and its corners


@dataclass(frozen=True, slots=True)
class Syntax:
    """How images are called without their .jpg (group 1: their number), and how a line is read."""

    stem: str
    parse: Callable[[str], Said]


@dataclass(frozen=True, slots=True)
class Region:
    """One annotated word: its text (None: not legible), its corners, and the line it stands on (from 1)."""

    text: str | None
    quad: tuple[Point, ...]
    line: int

    @property
    def word(self) -> Word:
        """The word with its polygon."""
        return Word(self.text, self.quad, legible=self.text is not None)


@dataclass(frozen=True, slots=True)
class Photo:
    """The file names of an image and of its list, the regions in their order; None: there is no list."""

    image: str
    listing: str
    regions: tuple[Region, ...] | None

    def listed(self) -> tuple[Region, ...]:
        """The regions. A photo without a list is a Reject: it is not a photo without words."""
        if self.regions is None:
            raise Reject("missing_list", self.image, f"no {self.listing}")
        return self.regions

    def legible(self) -> list[int]:
        """Places of the regions that have a text; without a list [0], so that the photo is not lost."""
        if self.regions is None:
            return [0]
        return [place for place, region in enumerate(self.regions) if region.text is not None]


def photos(images: Path, lists: Path, syntax: Syntax) -> list[Photo]:
    """All photos that have an image, a list or both, by number."""
    stems = {path.stem for path in images.iterdir() if path.suffix == ".jpg"}
    listed = {path.stem for path in lists.iterdir() if path.suffix == ".txt"}
    stems |= {stem.removeprefix("gt_") for stem in listed if stem.startswith("gt_")}
    found = [match for stem in stems if (match := re.fullmatch(syntax.stem, stem))]
    return [_photo(match[0], lists, syntax) for match in sorted(found, key=lambda m: (int(m[1]), m[0]))]


def photos_digest(photos: list[Photo]) -> str:
    """sha256 of all that the lists say: a changed listing is another data set."""
    return digest(
        [
            [photo.image, photo.regions and [[region.text, region.quad] for region in photo.regions]]
            for photo in photos
        ]
    )


def _photo(stem: str, lists: Path, syntax: Syntax) -> Photo:
    file = lists / f"gt_{stem}.txt"
    return Photo(f"{stem}.jpg", file.name, tuple(read(file, syntax)) if file.exists() else None)


def read(file: Path, syntax: Syntax) -> list[Region]:
    """The regions of a list; a line that does not fit is a BadData with file and line."""
    found = []
    for number, line in enumerate(decoded_lines(file), 1):
        text = line.removesuffix("\n").removesuffix("\r")
        if text:
            try:
                found.append(Region(*syntax.parse(text), number))
            except ValueError as error:
                raise BadData(f"{file}:{number}: {error}: {text[:200]!r}") from None
    return found


def _quad(line: str) -> Said:
    *corners, text = line.split(",", 8)
    if len(corners) != 8 or not all(CORNER.fullmatch(corner) for corner in corners):
        raise ValueError("expected x1,y1,x2,y2,x3,y3,x4,y4,text in whole pixels")
    numbers = [float(corner) for corner in corners]
    return _legible(text), tuple(zip(numbers[::2], numbers[1::2], strict=True))


def _rectangle(line: str) -> Said:
    found, expected = (
        RECTANGLE.fullmatch(line),
        'x1, y1, x2, y2, "text" or x1 y1 x2 y2 "text" in whole pixels',
    )
    if not found:
        raise ValueError(f"expected {expected}")
    left, top, right, bottom = (float(found[place]) for place in (1, 3, 4, 5))
    if right < left or bottom < top:
        raise ValueError("the second corner lies before the first")
    text = _legible(unquoted(found[6], CORNERS_AND_TEXT))
    return text, ((left, top), (right, top), (right, bottom), (left, bottom))


def _legible(text: str) -> str | None:
    if not text:
        raise ValueError(f"no text; {UNREADABLE} marks what cannot be read")
    return None if text == UNREADABLE else text


QUADS = Syntax("img_([0-9]{1,9})", _quad)
RECTANGLES = Syntax("(?:img_)?([0-9]{1,9})", _rectangle)
