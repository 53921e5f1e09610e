"""ICDAR 2017 MLT: photos with words in nine languages, whole or cut into words, with the official split.

python -m ingest.shard source=icdar2017_mlt root=DIR split=train,val out=DIR
python -m ingest.shard source=icdar2017_mlt root=DIR level=crops crop=perspective split=train,val out=DIR

    ch8_training_images/img_1.jpg           the photos of all eight archives in one folder; jpg, png or gif
    ch8_training_localization_transcription_gt_v2/gt_img_1.txt
    ch8_validation_images/img_1.jpg         ch8_validation_localization_transcription_gt_v2/gt_img_1.txt

A line holds four corners, clockwise, a script and a text that may hold commas:

    131,34,181,34,179,47,131,49,Latin,Castle
    90,83,143,83,143,96,91,96,None,###              a word that nobody can read: a region to ignore

Scripts are Arabic, Latin, Chinese, Japanese, Korean, Bangla, Symbols, Mixed and None; a crop keeps its own, a
photo that of its words where they have one alone. The lists of the test set are not published.
"""

from dataclasses import dataclass

from ingest.annotated import at_level, paired
from ingest.listing import existing
from ingest.regions import QUADS
from ingest.trees import Folder
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Meta, Sample, Word

GIVES = "photos with quads and texts, or words"
EXPECTS = "ch8_*_images/ and ch8_*_localization_transcription_gt_v2/"
LICENCE = "not established here"
OFFICIAL = {"train": 7200, "val": 1800}  # photos
FOLDERS = {"train": "ch8_training", "val": "ch8_validation"}
LISTS = "localization_transcription_gt_v2"
SCRIPTS = ("Arabic", "Latin", "Chinese", "Japanese", "Korean", "Bangla", "Symbols", "Mixed", "None")


@dataclass(frozen=True)
class Settings:
    """What a sample is."""

    level: str = "scenes"  # scenes: whole photos; crops: words cut here
    crop: str = "box"  # of level=crops: box, mask (black outside the outline) or perspective (made upright)


class Source:
    """One row per photo, by number, or per legible word, in their order."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        if split not in FOLDERS:
            raise BadSettings(unknown("split", split, list(FOLDERS)))
        names = [f"{FOLDERS[split]}_{part}" for part in ("images", LISTS)]
        images, lists = (existing(root) / name for name in names)
        if not images.is_dir() or not lists.is_dir():
            raise BadData(f"root={root}: no ICDAR 2017 MLT {split} photos; expected {' and '.join(names)}")
        listed, shared = paired(images, lists, _line, prefix="gt_"), Meta(f"icdar2017_mlt/{split}")
        self.level = at_level(settings.level, settings.crop, listed, Folder(images), shared)
        self.official = OFFICIAL[split] if settings.level == "scenes" else None
        self.options: dict[str, object] = {"level": settings.level, **self.level.options}

    def __len__(self) -> int:
        return len(self.level.rows)

    def read(self, row: int) -> Sample:
        """The photo as published, or a word of it; Reject: see `ingest.annotated`."""
        return self.level.read(row)


def _line(line: str) -> tuple[Word, str | None]:
    *front, text = line.split(",", 9)
    if len(front) != 9 or front[8] not in SCRIPTS:
        raise ValueError(f"expected four corners, a script ({', '.join(SCRIPTS)}) and a text")
    said, quad = QUADS.parse(",".join([*front[:8], text]))
    return Word(said, quad, legible=said is not None), None if front[8] == "None" else front[8]
