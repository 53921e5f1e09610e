"""MSRA-TD500: photos with turned lines of English and Chinese text, and no texts, with the official split.

python -m ingest.shard source=msra_td500 root=DIR split=train,test out=DIR

    train/IMG_0063.JPG      the photos; test/ likewise. root: the folder above these, or one above it
    train/IMG_0063.gt       a line per line of text: 0 0 231 258 642 93 -0.197396

That is its number, 1 where it is difficult, left, top, width and height of its box, and by how many radians
the box is turned about its centre, clockwise on the screen. Difficult lines are regions to ignore. The boxes
hold whole lines: a detector of words is not to be trained or scored on them.
"""

import math
import re
from dataclasses import dataclass

from ingest.annotated import Scenes, paired
from ingest.listing import existing
from ingest.trees import Folder
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Meta, Point, Sample, Word

GIVES = "photos with turned boxes of lines, no texts"
EXPECTS = "train/ and test/ with IMG_*.JPG and IMG_*.gt"
LICENCE = "none stated (research use; images and shards are not to be passed on)"
OFFICIAL = {"train": 300, "test": 200}
LINE = re.compile(r"([0-9]{1,4}) ([01])" + r" (-?[0-9]{1,5})" * 4 + r" (-?[0-9]\.[0-9]{1,9})", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """The release leaves nothing to choose."""


class Source:
    """One row per photo, by name."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        if split not in OFFICIAL:
            raise BadSettings(unknown("split", split, list(OFFICIAL)))
        base = existing(root)
        folder = next((at / split for at in (base, base / "MSRA-TD500") if (at / split).is_dir()), None)
        if folder is None:
            raise BadData(f"root={root}: no {split}/ there or in MSRA-TD500/ below it")
        self.official = OFFICIAL[split]
        listed = paired(folder, folder, _line, ".gt")
        self.scenes = Scenes(listed, Folder(folder), Meta(f"msra_td500/{split}", kind="lines"))
        lines = [piece.word for photo in listed for piece in photo.pieces or ()]
        difficult = sum(not line.legible for line in lines)
        self.notes = [f"{len(lines)} lines, not words, of {len(listed)} photos; {difficult} are difficult"]
        self.options = self.scenes.options

    def __len__(self) -> int:
        return len(self.scenes.rows)

    def read(self, row: int) -> Sample:
        """The photo as published with its lines; Reject: missing_list, or see `Photos.image`."""
        return self.scenes.read(row)


def _line(line: str) -> tuple[Word, None]:
    found = LINE.fullmatch(line)
    if not found:
        raise ValueError("expected number, 0 or 1, left, top, width, height in whole pixels, radians")
    left, top, width, height = (int(found[place]) for place in (3, 4, 5, 6))
    turn = float(found[7])
    if min(width, height) < 1 or abs(turn) > math.pi / 2:
        raise ValueError("expected a box with an area, turned by at most a quarter")
    return Word(None, _turned(left, top, width, height, turn), legible=found[2] == "0"), None


def _turned(left: int, top: int, width: int, height: int, turn: float) -> tuple[Point, ...]:
    """Corners of a box turned about its centre, clockwise, from what was its top left."""
    x, y, across, down = left + width / 2, top + height / 2, width / 2, height / 2
    cos, sin = math.cos(turn), math.sin(turn)
    corners = ((-across, -down), (across, -down), (across, down), (-across, down))
    return tuple((round(x + u * cos - v * sin, 3), round(y + u * sin + v * cos, 3)) for u, v in corners)
