"""SROIE: scanned receipts with their lines of text, whole or cut into lines.

python -m ingest.shard source=sroie root=DIR split=train,test out=DIR
python -m ingest.shard source=sroie root=DIR level=crops split=train,test out=DIR
python -m ingest.shard source=sroie root=DIR images=task1train boxes=task1train split=train out=DIR

    train/img/X00016469612.jpg      the receipts; test/ likewise
    train/box/X00016469612.txt      a line each: 72,25,326,25,326,64,72,64,TAN WOON YANN
    train/entities/                 company, date and the like, which are not read

`images` and `boxes` name other folders, such as the challenge's own, where both stand in one. What a line
says is kept whole, commas and spaces included.
"""

from dataclasses import dataclass

from ingest.annotated import Leveled, at_level, paired
from ingest.listing import existing, relative
from ingest.regions import QUADS
from ingest.trees import Folder
from shards.errors import BadData
from shards.sample import Meta, Word

GIVES = "receipts with quads and texts of lines, or lines"
EXPECTS = "SPLIT/img/*.jpg and SPLIT/box/*.txt"
LICENCE = "CC BY 4.0 (attribution is needed)"
SPLIT = "{split}"


@dataclass(frozen=True)
class Settings:
    """What a sample is, and where things are below root."""

    level: str = "scenes"  # scenes: whole receipts; crops: lines cut here
    crop: str = "box"  # of level=crops: box, mask (black outside the outline) or perspective (made upright)
    images: str = "{split}/img"  # the folder of the receipts, {split} in it = the split
    boxes: str = "{split}/box"  # the folder of their lists, {split} in it = the split


class Source(Leveled):
    """One row per receipt, by name, or per line of text, in their order."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        base = existing(root)
        images = base / relative(settings.images.replace(SPLIT, split), "images")
        boxes = base / relative(settings.boxes.replace(SPLIT, split), "boxes")
        for name, folder in (("images", images), ("boxes", boxes)):
            if not folder.is_dir():
                raise BadData(f"{name}={folder.relative_to(base)}: no such folder below root={root}")
        self.per_split = SPLIT in settings.images and SPLIT in settings.boxes
        listed = paired(images, boxes, _line)
        shared = Meta(f"sroie/{split}" if self.per_split else "sroie", kind="lines")
        self.level = at_level(settings.level, settings.crop, listed, Folder(images), shared)
        self.options: dict[str, object] = {"level": settings.level, **self.level.options}


def _line(line: str) -> tuple[Word, None]:
    text, quad = QUADS.parse(line)
    return Word(text, quad, legible=text is not None), None
