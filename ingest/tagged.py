"""Words tagged in photos, in the XML that Street View Text and ICDAR 2003 share:

    <tagset>
     <image>
      <imageName>img/14_03.jpg</imageName>
      <lex>LIVING,ROOM,THEATERS</lex>                                   Street View Text only, not kept
      <Resolution x="1280" y="880"/>                                    or resolution
      <taggedRectangles>
       <taggedRectangle x="375.0" y="253.0" width="236.0" height="75.0" offset="0.0" rotation="0.0">
        <tag>LIVING</tag> ...

A box is cut out upright, with every pixel that it touches; what reaches beyond the photo is left off.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from ingest import crops, markup
from ingest.listing import relative
from ingest.photos import Cut, Photos, Size
from ingest.sources import Reject
from ingest.trees import Folder
from shards.errors import BadData
from shards.sample import Meta, Sample
from shards.written import digest

SIZES = ("Resolution", "resolution")
PLACE, TURN = ("x", "y", "width", "height"), ("offset", "rotation")


@dataclass(frozen=True, slots=True)
class Box:
    """A tagged word: its text (may be empty), (x, y, width, height) as written, whether it is said to be
    slanted or turned, and the line it stands on.
    """

    text: str
    place: tuple[float, float, float, float]
    turned: bool
    line: int


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo by its path, its size, how many words its lexicon has, and its boxes in their order."""

    image: str
    size: Size
    lexicon: int
    boxes: tuple[Box, ...]

    def beyond(self, box: Box) -> bool:
        """Whether a box reaches beyond the photo."""
        x, y, width, height = box.place
        return x < 0 or y < 0 or x + width > self.size[0] or y + height > self.size[1]


class Words:
    """One row per box of a file, in its order; paths in it begin where it stands. Words of a photo are one
    group.
    """

    def __init__(self, file: Path, group: str) -> None:
        listed = read(file)
        self.photos, self.notes = Photos(Folder(file.parent)), _summary(listed)
        self.rows = [(photo, box) for photo in listed for box in photo.boxes]
        self.name, self.group = file.name, group
        facts = [[photo.image, photo.size, box.text, box.place, box.line] for photo, box in self.rows]
        self.options: dict[str, object] = {"listing": digest(facts), "cutting": crops.VERSION}

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> Sample:
        """The box as PNG with its raw tag; Reject: empty_label, empty_box, outside_photo, missing_image,
        size_differs, or a photo that cannot be stored.
        """
        photo, box = self.rows[row]
        origin = f"{self.name}:{box.line}"
        if not box.text:
            raise Reject("empty_label", origin, f"of {photo.image}")
        if min(box.place[2:]) <= 0:
            raise Reject("empty_box", origin, f"{box.place} of {photo.image}")
        meta = Meta(group=f"{self.group}/{photo.image}")
        quad = crops.touched(*box.place)
        return self.photos.word(Cut(photo.image, photo.size, quad, box.text, origin, meta))


def read(file: Path) -> list[Photo]:
    """The photos of a file; what does not fit is a BadData with the file and the line."""
    root, lines = markup.read(file)
    if root.tag != "tagset":
        raise BadData(f"{file}:{lines[root]}: expected a tagset, found {root.tag}")
    found: dict[str, Photo] = {}
    for element in root:
        photo = _photo(element, lines, file)
        if photo.image in found:
            raise BadData(f"{file}:{lines[element]}: {photo.image!r} stands there already")
        found[photo.image] = photo
    return list(found.values())


def _photo(element: Element, lines: dict[Element, int], file: Path) -> Photo:
    where = f"{file}:{lines[element]}"
    name, boxes = element.findtext("imageName"), element.find("taggedRectangles")
    size = next((one for one in map(element.find, SIZES) if one is not None), None)
    if element.tag != "image" or not name or size is None or boxes is None:
        raise BadData(f"{where}: expected an image with imageName, resolution and taggedRectangles")
    width, height = _numbers(size, ("x", "y"), f"{file}:{lines[size]}")
    words = len((element.findtext("lex") or "").split(",")) if element.find("lex") is not None else 0
    read = tuple(_box(box, f"{file}:{lines[box]}", lines[box]) for box in boxes)
    return Photo(relative(name, where), (int(width), int(height)), words, read)


def _box(element: Element, where: str, line: int) -> Box:
    tag = element.find("tag")
    if element.tag != "taggedRectangle" or tag is None or len(tag):
        raise BadData(f"{where}: expected a taggedRectangle with a tag")
    x, y, width, height = _numbers(element, PLACE, where)
    turns = _numbers(element, tuple(name for name in TURN if name in element.attrib), where)
    return Box(tag.text or "", (x, y, width, height), any(turns), line)


def _numbers(element: Element, names: tuple[str, ...], where: str) -> list[float]:
    try:
        found = [float(element.attrib[name]) for name in names]
    except (KeyError, ValueError):
        found = [math.nan]
    if not all(map(math.isfinite, found)):
        raise BadData(
            f"{where}: {element.tag} with numbers {', '.join(names)} expected, found {element.attrib}"
        )
    return found


def _summary(photos: list[Photo]) -> list[str]:
    boxes = [(photo, box) for photo in photos for box in photo.boxes]
    beyond = sum(photo.beyond(box) for photo, box in boxes)
    turned = sum(box.turned for _, box in boxes)
    notes = [
        f"{len(boxes)} boxes of {len(photos)} photos, cut here and stored as PNG; {beyond} of them reach "
        "beyond their photo and end at its border"
    ]
    if turned:
        notes.append(f"{turned} boxes are said to be slanted or turned; all are cut upright")
    sizes = [photo.lexicon for photo in photos if photo.lexicon]
    if sizes:
        notes.append(f"lexica of {min(sizes)} to {max(sizes)} words, one beside each photo, are not kept")
    return notes
