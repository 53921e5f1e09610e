"""ICDAR 2015 incidental scene text: word crops as published, crops cut here, or whole photos.

python -m ingest.shard source=icdar2015 root=DIR split=train,test out=DIR
python -m ingest.shard source=icdar2015 root=DIR level=crops crop=perspective split=train,test out=DIR
python -m ingest.shard source=icdar2015 root=DIR level=scenes split=train,test out=DIR

level=words, the crops of Task 4.3:

    the challenge's                                     a common repository's
    ch4_training_word_images_gt/{word_*.png,gt.txt}     WordRecognition/TrainingSet/{word_*.png,gt.txt}
    ch4_test_word_images_gt/word_*.png                  WordRecognition/TestSet/word_*.png
    Challenge4_Test_Task3_GT.txt beside or inside it    WordRecognition/Challenge4_Test_Task3_GT.txt

root: the folder above these, the folder that holds the two splits, or the folder with the split's images.

level=crops and level=scenes, the photos of Task 4.1; root: the folder above these:

    ch4_training_images/img_*.jpg       ch4_training_localization_transcription_gt/gt_img_*.txt
    ch4_test_images/img_*.jpg           Challenge4_Test_Task1_GT/gt_img_*.txt

A word's first corner is taken for its top left. The lists mostly keep to that; where text runs down or up a
page some start elsewhere, and such words stay on their side, or on their head, with crop=perspective.
"""

from dataclasses import dataclass
from pathlib import Path

from ingest import crops
from ingest.challenge import Layout, Scenes, Words, published_words
from ingest.listing import existing
from ingest.photos import Cut
from ingest.regions import QUADS
from shards.errors import BadSettings
from shards.lookup import unknown
from shards.sample import Sample

GIVES = "words, or photos with quads and texts"
EXPECTS = "ch4_* folders as published, or WordRecognition/"
LICENCE = "CC BY 4.0 (as recorded by mmocr; not read on the challenge's page)"
LAYOUT = Layout(
    "ICDAR 2015",
    "icdar2015",
    words={
        "train": ("ch4_training_word_images_gt", "TrainingSet"),
        "test": ("ch4_test_word_images_gt", "TestSet"),
    },
    lists={"train": "gt.txt", "test": "Challenge4_Test_Task3_GT.txt"},
    photos={
        "train": ("ch4_training_images", "ch4_training_localization_transcription_gt"),
        "test": ("ch4_test_images", "Challenge4_Test_Task1_GT"),
    },
    syntax=QUADS,
    inside="WordRecognition",
)
OFFICIAL = {  # rows of the published set: words for words and crops, photos for scenes
    "words": {"train": 4468, "test": 2077},
    "crops": {"train": 4468, "test": 2077},
    "scenes": {"train": 1000, "test": 500},
}
CROPS = {"box": crops.box, "perspective": crops.perspective}


@dataclass(frozen=True)
class Settings:
    """What a sample is."""

    level: str = "words"  # words: crops of Task 4.3; crops: cut here from the photos of 4.1; scenes: those
    crop: str = "box"  # of level=crops. box: upright, as published; perspective: turned words made upright


class Source:
    """One row per word of the official list, per legible word of the photos, or per photo, in their order.

    Labels are raw, case and punctuation included.
    """

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        for name, value, known in (("level", settings.level, LEVELS), ("crop", settings.crop, CROPS)):
            if value not in known:
                raise BadSettings(unknown(name, value, list(known)))
        if settings.crop != Settings.crop and settings.level != "crops":
            raise BadSettings(f"crop={settings.crop} says how level=crops cuts; level is {settings.level}")
        if split not in LAYOUT.words:
            raise BadSettings(unknown("split", split, list(LAYOUT.words)))
        self.official = OFFICIAL[settings.level][split]
        self.level = LEVELS[settings.level](existing(root), split, settings.crop)
        self.options: dict[str, object] = {"level": settings.level, **self.level.options}

    def __len__(self) -> int:
        return len(self.level.rows)

    def read(self, row: int) -> Sample:
        """The sample of a row; Reject: its image or its list is missing, or nothing can be cut from it."""
        return self.level.read(row)


class _Crops:
    """Legible words of the photos, named by list and line; a photo without a list is one row, rejected."""

    def __init__(self, root: Path, split: str, crop: str) -> None:
        self.scenes, self.cut = Scenes(LAYOUT, root, split), CROPS[crop]
        self.options = {**self.scenes.options, "crop": crop, "cutting": crops.VERSION}
        self.rows: list[tuple[int, int]] = []
        for row, photo in enumerate(self.scenes.rows):
            self.rows += [(row, place) for place in photo.legible()]

    def read(self, row: int) -> Sample:
        at, place = self.rows[row]
        photo = self.scenes.rows[at]
        region = photo.listed()[place]
        origin = f"{photo.listing}:{region.line}"
        cut = Cut(photo.image, None, region.quad, region.text or "", origin, self.scenes.meta(at))
        return self.scenes.photos.word(cut, self.cut)


def _words(root: Path, split: str, crop: str) -> Words:
    return published_words(LAYOUT, root, split)


def _scenes(root: Path, split: str, crop: str) -> Scenes:
    return Scenes(LAYOUT, root, split)


LEVELS = {"words": _words, "crops": _Crops, "scenes": _scenes}
