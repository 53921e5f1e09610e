"""ICDAR 2013 focused scene text: word crops as published, or whole photos.

python -m ingest.shard source=icdar2013 root=DIR split=train,test out=DIR
python -m ingest.shard source=icdar2013 root=DIR level=scenes split=train,test out=DIR
python -m ingest.shard source=icdar2013 root=DIR format=digested images={split} split=train,test out=DIR

level=words, the crops of Task 2.3; root: the folder above these, or the folder with the split's images:

    Challenge2_Training_Task3_Images_GT/{word_*.png,gt.txt}         word_1.png, "Tiredness"
    Challenge2_Test_Task3_Images/word_*.png
    Challenge2_Test_Task3_GT.txt beside or inside it

format=digested takes lists that others made of these, path, space and word; their paths begin at `images`:

    icdar_2013_train_labels.txt  icdar_2013_test_labels.txt         word_1.png Tiredness

level=scenes, the photos of Task 2.1 with upright boxes; root: the folder above these:

    Challenge2_Training_Task12_Images/*.jpg       Challenge2_Training_Task1_GT/gt_*.txt
    Challenge2_Test_Task12_Images/img_*.jpg       Challenge2_Test_Task1_GT/gt_img_*.txt

Labels are raw. Scores are published on all 1,095 test words, on 1,015 and on 857 of them: say which.
"""

from dataclasses import dataclass
from pathlib import Path

from ingest.challenge import Layout, Scenes, Words, published_words
from ingest.listing import existing, relative
from ingest.regions import RECTANGLES
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Sample

GIVES = "words, or photos with boxes and texts"
EXPECTS = "Challenge2_* folders as published, or a list of words per split"
LICENCE = "none stated (research use; images and shards are not to be passed on)"
LAYOUT = Layout(
    "ICDAR 2013",
    "icdar2013",
    words={"train": ("Challenge2_Training_Task3_Images_GT",), "test": ("Challenge2_Test_Task3_Images",)},
    lists={"train": "gt.txt", "test": "Challenge2_Test_Task3_GT.txt"},
    photos={
        "train": ("Challenge2_Training_Task12_Images", "Challenge2_Training_Task1_GT"),
        "test": ("Challenge2_Test_Task12_Images", "Challenge2_Test_Task1_GT"),
    },
    syntax=RECTANGLES,
)
OFFICIAL = {"words": {"train": 848, "test": 1095}, "scenes": {"train": 229, "test": 233}}
FORMATS = ("icdar", "digested")
SPLIT = "{split}"


@dataclass(frozen=True)
class Settings:
    """What a sample is, and whose lists tell of it."""

    level: str = "words"  # words: crops of Task 2.3; scenes: photos of Task 2.1
    format: str = "icdar"  # of level=words. icdar: as published; digested: one list per split, without quotes
    images: str = ""  # of format=digested: the folder below root, {split} in it = the split; empty: root


class Source:
    """One row per word of the split's list, in its order, or per photo, by number."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        for name, known in (("level", LEVELS), ("format", FORMATS)):
            if getattr(settings, name) not in known:
                raise BadSettings(unknown(name, getattr(settings, name), list(known)))
        if split not in LAYOUT.words:
            raise BadSettings(unknown("split", split, list(LAYOUT.words)))
        if settings.images and settings.format != "digested":
            raise BadSettings(f"images={settings.images} is for format=digested; format is {settings.format}")
        if settings.format not in LEVELS[settings.level]:
            raise BadSettings(f"format={settings.format} is for level=words; level is {settings.level}")
        self.official = OFFICIAL[settings.level][split]
        self.level = LEVELS[settings.level][settings.format](existing(root), split, settings.images)
        self.options: dict[str, object] = {"level": settings.level, **self.level.options}

    def __len__(self) -> int:
        return len(self.level.rows)

    def read(self, row: int) -> Sample:
        """The image as published; Reject: it or its list is missing, or it cannot be stored."""
        return self.level.read(row)


def _published(root: Path, split: str, images: str) -> Words:
    return published_words(LAYOUT, root, split)


def _digested(root: Path, split: str, images: str) -> Words:
    """Words by a list that somebody made; the one with MJSynth's word numbers for labels is refused."""
    file = root / f"icdar_2013_{split}_labels.txt"
    folder = root / relative(images.replace(SPLIT, split), "images") if images else root
    if not file.is_file() or not folder.is_dir():
        raise BadData(
            f"root={root}: no digested ICDAR 2013 {split} words; expected {file.name} and {folder}/"
        )
    words = Words(folder, file, "space")
    if words.rows and all((row.text or "").isdigit() for row in words.rows):
        raise BadData(
            f"{file}: every label is a number, a line of MJSynth's lexicon, so words outside of it are "
            "missing; that list is none to be scored on"
        )
    return words


def _scenes(root: Path, split: str, images: str) -> Scenes:
    return Scenes(LAYOUT, root, split)


LEVELS = {"words": {"icdar": _published, "digested": _digested}, "scenes": {"icdar": _scenes}}
