"""YOLO text files: axis-aligned boxes of the words of scenes, class 0.

    images/<split>/000000/000000017.jpg
    labels/<split>/000000/000000017.txt    0 xc yc w h, as fractions of the image; empty = no text
    ignore/<split>/000000/000000017.txt    the same for words that are not legible; only where there are any

The format has neither texts nor polygons, and no don't-care: who trains on it masks the boxes of ignore/.
Boxes are clipped to the image. `to=coco` keeps polygons and texts.
"""

from dataclasses import dataclass
from pathlib import Path

from shards.read import Shards
from shards.sample import Sample, Word
from shards.unpackers import LeftOut, box, name_of, outlined, write

KINDS = ("images", "labels", "ignore")


@dataclass(frozen=True)
class Settings:
    """Nothing to set."""


def places(split: str) -> list[str]:
    """The three mirrored trees."""
    return [f"{kind}/{split}" for kind in KINDS]


def again(out: Path, splits: list[str]) -> str:
    """How the trees are read; ignore/ with them."""
    return f"python -m ingest.shard source=yolo root={out} split={','.join(splits)} out=ANOTHER"


class Unpacker:
    """Writes one split."""

    def __init__(self, settings: Settings, work: Path, split: str, shards: Shards) -> None:
        self.folders = {kind: work / kind / split for kind in KINDS}

    def add(self, row: int, sample: Sample) -> list[LeftOut]:
        """Left: no_polygon. A word whose box has no area in the image is left out."""
        words, left_out = outlined(sample)
        write(self.folders["images"], name_of(row, sample.suffix), sample)
        for kind, legible in (("labels", True), ("ignore", False)):
            lines = [_line(word, sample.record.size) for word in words if word.legible == legible]
            if lines or legible:  # a picture without text has an empty file; a missing one is an error
                path = self.folders[kind] / name_of(row, "txt")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text("".join(lines))
        return left_out

    def close(self) -> None:
        """Nothing comes last."""


def _line(word: Word, size: tuple[int, int]) -> str:
    left, top, right, bottom = box(word.polygon or (), size) or (0.0, 0.0, 0.0, 0.0)
    centre = (left + right) / 2 / size[0], (top + bottom) / 2 / size[1]
    extent = (right - left) / size[0], (bottom - top) / size[1]
    return "0 " + " ".join(f"{value:.8f}" for value in (*centre, *extent)) + "\n"
