"""Seam: one file per format that shards can be unpacked into. A member offers

- `places(split)`: the files and folders below out= that one split becomes, and nothing else;
- `again(out, splits)`: the command that reads them again, or "" where none does yet;
- `Settings`, and `Unpacker(settings, work, split, shards)`, which writes the places below `work`:
  `add(row, sample)` takes a sample and returns what it had to leave out of it, as (reason, detail), or raises
  Left where the format cannot hold the sample; `close()` writes what comes last.

A label is written as it is or left out with its reason: never changed.
"""

from collections.abc import Sequence
from pathlib import Path

from shards import geometry
from shards.geometry import Box
from shards.sample import Point, Sample, Word

PER_FOLDER = 1000  # rows whose images share a folder
LeftOut = tuple[str, str]  # reason, detail


class Left(Exception):
    """A sample that a format cannot hold: a short fixed reason, and what exactly."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def crop_text(sample: Sample) -> str | None:
    """The text of a word crop; Left: scene, illegible."""
    words = sample.record.words
    if len(words) != 1 or words[0].polygon is not None:
        raise Left("scene", f"{len(words)} words, not one without a polygon; to=coco holds scenes")
    if not words[0].legible:
        raise Left("illegible", f"{words[0].text!r}: the format cannot say that nobody can read it")
    return words[0].text


def outlined(sample: Sample) -> tuple[tuple[Word, ...], list[LeftOut]]:
    """The words of a scene whose boxes have an area in the image, and the others; Left: no_polygon."""
    words = sample.record.words
    bare = [word.text for word in words if word.polygon is None]
    if bare:
        raise Left("no_polygon", f"{bare[0]!r} has no polygon; to=folder and to=lmdb hold word crops")
    inside = tuple(word for word in words if word.polygon and box(word.polygon, sample.record.size))
    return inside, [("no_area", f"{word.text!r} {word.polygon}") for word in words if word not in inside]


def box(polygon: Sequence[Point], size: tuple[int, int]) -> Box | None:
    """(left, top, right, bottom) of a polygon, clipped to the image; None if that leaves no area."""
    left, top, right, bottom = geometry.box(polygon)
    left, right = (min(max(x, 0.0), float(size[0])) for x in (left, right))
    top, bottom = (min(max(y, 0.0), float(size[1])) for y in (top, bottom))
    return (left, top, right, bottom) if left < right and top < bottom else None


def write(folder: Path, name: str, sample: Sample) -> None:
    """The image as published, below a folder that is made where it is missing."""
    path = folder / name
    try:
        path.write_bytes(sample.image)
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        path.write_bytes(sample.image)


def name_of(row: int, suffix: str) -> str:
    """The path of a row's image: numbered folders of PER_FOLDER images, in the order of the listing."""
    return f"{row // PER_FOLDER:06d}/{row:09d}.{suffix}"
