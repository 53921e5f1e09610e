"""PaddleOCR's label files: word images with their texts, or photos with their words, whole or cut.

python -m ingest.shard source=paddle_labels root=DIR split=train,test out=DIR
python -m ingest.shard source=paddle_labels root=DIR level=scenes labels=det/{split}.txt images=det out=DIR
python -m ingest.shard source=paddle_labels root=DIR level=crops crop=perspective split=train,val out=DIR

    rec_gt_train.txt        level=words: path TAB text
    det_gt_train.txt        level=scenes and level=crops: path TAB a JSON list of
                            {"transcription": "OPEN", "points": [[7, 17], [63, 17], [65, 30], [8, 30]]}

Paths begin at `images` and keep their folders. A text of ### or * marks what nobody can read: a region to
ignore. Points may be more than four. The dictionary beside such lists belongs to the task, not to the data.
"""

import json
import math
from dataclasses import dataclass
from pathlib import Path

from ingest.annotated import Leveled, Photo, Piece, at_level
from ingest.labels import Label, read
from ingest.listing import existing, listing_digest, relative, resolved, word_sample
from ingest.trees import Folder
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Meta, Sample, Word

GIVES = "words, or photos with outlines and texts"
EXPECTS = "rec_gt_SPLIT.txt or det_gt_SPLIT.txt, and images"
LICENCE = "not stated: that of the set inside"
SPLIT = "{split}"
LISTS = {"words": "rec_gt_{split}.txt", "scenes": "det_gt_{split}.txt", "crops": "det_gt_{split}.txt"}
UNREADABLE = ("###", "*")


@dataclass(frozen=True)
class Settings:
    """What a sample is, and where things are below root."""

    level: str = (
        "words"  # words: the images of a rec list; scenes: the photos of a det list; crops: its words
    )
    crop: str = "box"  # of level=crops: box, mask (black outside the outline) or perspective (made upright)
    labels: str = ""  # the list, {split} in it = the split; empty: rec_gt_{split}.txt or det_gt_{split}.txt
    images: str = ""  # the folder where the list's paths begin, {split} in it = the split; empty: root


class Source(Leveled):
    """One row per line of the list, in its order, or per legible word of a det list."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        if settings.level not in LISTS:
            raise BadSettings(unknown("level", settings.level, list(LISTS)))
        base, labels = existing(root), settings.labels or LISTS[settings.level]
        file = base / relative(labels.replace(SPLIT, split), "labels")
        folder = base / relative(settings.images.replace(SPLIT, split), "images") if settings.images else base
        if not folder.is_dir():
            raise BadData(f"images={settings.images}: no such folder below root={root}")
        self.per_split = SPLIT in labels + settings.images
        listed = resolved(read(file, "tsv"), file)
        if settings.level == "words":
            if settings.crop != Settings.crop:
                raise BadSettings(f"crop={settings.crop} says how level=crops cuts; level is words")
            self.level = _Words(listed, Folder(folder))
        else:
            photos = [_photo(label, file) for label in listed]
            shared = Meta("paddle_labels")
            self.level = at_level(settings.level, settings.crop, photos, Folder(folder), shared)
        self.options: dict[str, object] = {"level": settings.level, **self.level.options}


class _Words:
    """The word images of a rec list."""

    def __init__(self, rows: list[Label], folder: Folder) -> None:
        self.rows, self.folder = rows, folder
        self.options: dict[str, object] = {"listing": listing_digest(rows)}

    def group(self, row: int) -> str:
        return f"paddle_labels/{self.rows[row].path}"

    def read(self, row: int) -> Sample:
        return word_sample(self.folder, self.rows[row])


def _photo(label: Label, file: Path) -> Photo:
    where = f"{file}:{label.line}"
    try:
        found = json.loads(label.text or "")
    except ValueError as error:
        raise BadData(f"{where}: not JSON after the TAB ({error})") from None
    if not isinstance(found, list):
        raise BadData(f"{where}: expected a JSON list after the TAB: {label.text!r:.200}")
    pieces = tuple(
        Piece(_word(one, f"{where}: word {number}"), f"{label.line}:{number}")
        for number, one in enumerate(found, 1)
    )
    return Photo(label.path, file.name, pieces)


def _word(said: object, where: str) -> Word:
    text, points = (
        (said.get(key) for key in ("transcription", "points")) if isinstance(said, dict) else (0, 0)
    )
    if not isinstance(text, str) or not isinstance(points, list) or not all(map(_point, points)):
        raise BadData(f"{where}: expected a transcription and points [[x, y], ...]: {said!r:.200}")
    if len(points) < 4:
        raise BadData(f"{where}: {len(points)} points, at least 4 are needed")
    legible = text not in UNREADABLE
    return Word((text or None) if legible else None, tuple((float(x), float(y)) for x, y in points), legible)


def _point(point: object) -> bool:
    pair = point if isinstance(point, list) else []
    return len(pair) == 2 and all(type(value) in (int, float) and math.isfinite(value) for value in pair)
