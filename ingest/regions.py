"""Photos and the words annotated on them, as ICDAR 2015 publishes them: gt_img_1.txt tells of img_1.jpg.

    377,117,463,117,465,130,378,130,Genaxis Theatre     corners, clockwise from the word's top left; its text
    374,155,409,155,409,170,374,170,###                 a word that nobody can read

Split at the first eight commas; nothing is quoted. UTF-8 with an optional byte order mark.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from ingest.labels import decoded_lines
from ingest.sources import Reject
from shards.errors import BadData
from shards.manifest import digest
from shards.sample import Point, Word

UNREADABLE = "###"
CORNER = re.compile(r"-?[0-9]{1,6}")


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


def photos(images: Path, lists: Path) -> list[Photo]:
    """All img_N that have an image, a list or both, by number."""
    stems = {path.stem for path in images.glob("img_*.jpg")}
    stems |= {path.stem.removeprefix("gt_") for path in lists.glob("gt_img_*.txt")}
    numbered = sorted((int(stem[4:]), stem) for stem in stems if re.fullmatch("img_[0-9]{1,9}", stem))
    return [_photo(stem, lists) for _, stem in numbered]


def photos_digest(photos: list[Photo]) -> str:
    """sha256 of all that the lists say: a changed listing is another data set."""
    return digest(
        [
            [photo.image, photo.regions and [[region.text, region.quad] for region in photo.regions]]
            for photo in photos
        ]
    )


def _photo(stem: str, lists: Path) -> Photo:
    file = lists / f"gt_{stem}.txt"
    return Photo(f"{stem}.jpg", file.name, tuple(read(file)) if file.exists() else None)


def read(file: Path) -> list[Region]:
    """The regions of a list; a line that does not fit is a BadData with file and line."""
    found = []
    for number, line in enumerate(decoded_lines(file), 1):
        text = line.removesuffix("\n").removesuffix("\r")
        if text:
            try:
                found.append(Region(*_parsed(text), number))
            except ValueError as error:
                raise BadData(f"{file}:{number}: {error}: {text[:200]!r}") from None
    return found


def _parsed(line: str) -> tuple[str | None, tuple[Point, ...]]:
    *corners, text = line.split(",", 8)
    if len(corners) != 8 or not all(CORNER.fullmatch(corner) for corner in corners):
        raise ValueError("expected x1,y1,x2,y2,x3,y3,x4,y4,text in whole pixels")
    if not text:
        raise ValueError(f"no text; {UNREADABLE} marks what cannot be read")
    numbers = [float(corner) for corner in corners]
    return (None if text == UNREADABLE else text), tuple(zip(numbers[::2], numbers[1::2], strict=True))
