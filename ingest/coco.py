"""Photos and the words annotated on them, in the JSON of COCO-Text v2:

    imgs         {"540965": {"id": 540965, "set": "train", "width": 640, "height": 360, "file_name": "..."}}
    anns         {"45346": {"id": 45346, "image_id": 540965, "bbox": [x, y, w, h], "mask": [x1, y1, x2, ...],
                  "class": "machine printed", "legibility": "legible", "language": "english",
                  "utf8_string": "Hello"}}
    imgToAnns    {"540965": [45346]}; an empty list is a photo without words, none at all is not

Keys are strings and ids numbers; both become numbers here. Coordinates are in pixels, pixel 0 from 0 to 1.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest.listing import relative
from ingest.photos import Size
from shards.errors import BadData
from shards.sample import Point
from shards.storage import content

SETS, LEGIBILITIES = ("train", "val", "test"), ("legible", "illegible")
PARTS = ("imgs", "anns", "imgToAnns")


@dataclass(frozen=True, slots=True)
class Instance:
    """A word by its id: its text (None: not given), (x, y, width, height), its outline of at least 4 points,
    and what is said of it.
    """

    id: int
    text: str | None
    legible: bool
    box: tuple[float, float, float, float]
    polygon: tuple[Point, ...]
    language: str | None
    kind: str | None


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo by its file name, its size, and its words in their order; None: nobody says."""

    image: str
    size: Size
    instances: tuple[Instance, ...] | None


def read(file: Path, split: str) -> list[Photo]:
    """The photos of a split, by number; what does not fit is a BadData with the file and the id."""
    images, annotations, listed = (_numbered(file, name, part) for name, part in _parts(file).items())
    for number, image in images.items():
        if image.get("set") not in SETS:
            raise BadData(f"{file}: imgs {number}: set {image.get('set')!r}, expected {', '.join(SETS)}")
    chosen = {number for number, image in images.items() if image["set"] == split}
    _refuse_strays(file, annotations, listed, chosen)
    names = Counter(images[number].get("file_name") for number in chosen)
    for name, count in names.items():
        if count > 1:
            raise BadData(f"{file}: {count} of imgs have the file_name {name!r}")
    return [
        _photo(file, number, images[number], listed.get(number), annotations) for number in sorted(chosen)
    ]


def _parts(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(content(file).decode("utf-8-sig"))
    except OSError as error:
        raise BadData(f"{file}: no readable annotations ({error.strerror})") from None
    except json.JSONDecodeError as error:
        raise BadData(f"{file}:{error.lineno}: not JSON ({error.msg})") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise BadData(f"{file}:{line}: not UTF-8 ({error.reason})") from None
    if not isinstance(found, dict) or not all(isinstance(found.get(part), dict) for part in PARTS):
        raise BadData(f"{file}: expected an object with {', '.join(PARTS)}")
    return {part: found[part] for part in PARTS}


def _numbered(file: Path, name: str, part: dict[str, Any]) -> dict[int, Any]:
    """The entries by their number; where an entry says its id, it is its key."""
    found = {_id(f"{file}: {name}", key): entry for key, entry in part.items()}
    for number, entry in found.items():
        where = f"{file}: {name} {number}"
        if not isinstance(entry, list if name == "imgToAnns" else dict):
            raise BadData(f"{where}: found {entry!r:.200}")
        if isinstance(entry, dict) and _id(where, entry.get("id")) != number:
            raise BadData(f"{where}: its id is {entry.get('id')!r}")
    return found


def _id(where: str, value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str) or not value.isascii() or not value.isdigit():
        raise BadData(f"{where}: {value!r} is no id")
    return int(value)


def _refuse_strays(
    file: Path, annotations: dict[int, Any], listed: dict[int, list[Any]], chosen: set[int]
) -> None:
    """Each annotation of a chosen photo stands once in the photo's list, and nothing else does."""
    owners = {
        number: _id(f"{file}: anns {number}", one.get("image_id")) for number, one in annotations.items()
    }
    theirs = Counter((_id(f"{file}: imgToAnns {n}", one), n) for n in chosen for one in listed.get(n, ()))
    ours = Counter((number, owner) for number, owner in owners.items() if owner in chosen)
    for number, owner in sorted((ours - theirs) + (theirs - ours)):
        times, said = theirs[number, owner], owners.get(number)
        raise BadData(f"{file}: imgToAnns {owner} has anns {number} {times} times, whose image_id is {said}")


def _photo(file: Path, number: int, image: Any, listed: list[Any] | None, annotations: Any) -> Photo:
    where = f"{file}: imgs {number}"
    width, height = _numbers(where, "width and height", [image.get("width"), image.get("height")], 2)
    name = image.get("file_name")
    if not isinstance(name, str):
        raise BadData(f"{where}: file_name is {name!r}")
    words = None if listed is None else tuple(_instance(file, annotations[_id(where, n)]) for n in listed)
    return Photo(relative(name, where), (int(width), int(height)), words)


def _instance(file: Path, said: dict[str, Any]) -> Instance:
    number = int(said["id"])
    where = f"{file}: anns {number}"
    text, language, kind = (said.get(key) for key in ("utf8_string", "language", "class"))
    if said.get("legibility") not in LEGIBILITIES:
        raise BadData(f"{where}: legibility {said.get('legibility')!r}, expected {' or '.join(LEGIBILITIES)}")
    if not all(one is None or isinstance(one, str) for one in (text, language, kind)):
        raise BadData(
            f"{where}: utf8_string, language and class are texts, found {text!r}, {language!r}, {kind!r}"
        )
    x, y, width, height = _numbers(where, "bbox", said.get("bbox"), 4)
    mask = _numbers(where, "mask", said.get("mask"), None)
    if len(mask) % 2:
        raise BadData(f"{where}: mask has {len(mask)} numbers, expected pairs")
    points = tuple(zip(mask[::2], mask[1::2], strict=True))
    if len(points) < 4:
        points = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
    box = (x, y, width, height)
    return Instance(number, text or None, said["legibility"] == "legible", box, points, language, kind)


def _numbers(where: str, name: str, found: Any, count: int | None) -> Sequence[float]:
    numbers = isinstance(found, list) and all(
        type(one) in (int, float) and math.isfinite(one) for one in found
    )
    if not numbers or len(found) != (len(found) if count is None else count):
        raise BadData(f"{where}: {name} are numbers, found {found!r:.200}")
    return [float(one) for one in found]
