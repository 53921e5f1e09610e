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
from ingest.labels import read
from ingest.listing import existing, listing_digest, resolved, word_sample
from ingest.photos import Cut, Photos
from ingest.regions import photos, photos_digest
from ingest.trees import Folder
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Meta, Record, Sample

LICENCE = "CC BY 4.0 (as recorded by mmocr; not read on the challenge's page)"
FOLDERS = {
    "train": ("ch4_training_word_images_gt", "TrainingSet"),
    "test": ("ch4_test_word_images_gt", "TestSet"),
}
LISTS = {"train": "gt.txt", "test": "Challenge4_Test_Task3_GT.txt"}
PHOTOS = {
    "train": ("ch4_training_images", "ch4_training_localization_transcription_gt"),
    "test": ("ch4_test_images", "Challenge4_Test_Task1_GT"),
}
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
        if split not in FOLDERS:
            raise BadSettings(unknown("split", split, list(FOLDERS)))
        self.official = OFFICIAL[settings.level][split]
        self.level = LEVELS[settings.level](existing(root), split, settings.crop)
        self.options: dict[str, object] = {"level": settings.level, **self.level.options}

    def __len__(self) -> int:
        return len(self.level.rows)

    def read(self, row: int) -> Sample:
        """The sample of a row; Reject: its image or its list is missing, or nothing can be cut from it."""
        return self.level.read(row)


class _Words:
    """The published crops. The photos they were cut from are not named there, so they have no group."""

    def __init__(self, root: Path, split: str, crop: str) -> None:
        self.folder, file = _layout(root, split)
        self.rows = resolved(read(file, "icdar"), file)
        self.options = {"listing": listing_digest(self.rows)}

    def read(self, row: int) -> Sample:
        return word_sample(Folder(self.folder), self.rows[row])


class _Scenes:
    """Whole photos; all samples of a photo, its crops included, are one group."""

    def __init__(self, root: Path, split: str, crop: str) -> None:
        self.split, (images, lists) = split, PHOTOS[split]
        if not (root / images).is_dir() or not (root / lists).is_dir():
            raise BadData(f"root={root}: no ICDAR 2015 {split} photos; expected {images}/ and {lists}/")
        self.photos, self.rows = Photos(Folder(root / images)), photos(root / images, root / lists)
        self.options: dict[str, object] = {"listing": photos_digest(self.rows)}

    def read(self, row: int) -> Sample:
        photo = self.rows[row]
        words, image = tuple(region.word for region in photo.listed()), self.photos.image(photo.image)
        return Sample(image.image, image.suffix, Record(words, image.size, photo.image, self.meta(row)))

    def meta(self, row: int) -> Meta:
        """What the samples of a photo share."""
        return Meta(group=f"icdar2015/{self.split}/{self.rows[row].image}")


class _Crops:
    """Legible words of the photos, named by list and line; a photo without a list is one row, rejected."""

    def __init__(self, root: Path, split: str, crop: str) -> None:
        self.scenes, self.cut = _Scenes(root, split, crop), CROPS[crop]
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


LEVELS = {"words": _Words, "crops": _Crops, "scenes": _Scenes}


def _layout(root: Path, split: str) -> tuple[Path, Path]:
    """(folder of the images, list of the labels)."""
    names = FOLDERS[split]
    bases = (root.parent, root, root / "WordRecognition")
    folders = [base / name for base in bases for name in names if base != root.parent or name == root.name]
    found = [(folder, at / LISTS[split]) for folder in folders for at in (folder, folder.parent)]
    if root.name not in sum(FOLDERS.values(), ()):  # a folder of another name must hold its list itself
        found.append((root, root / LISTS[split]))
    for folder, file in found:
        if file.is_file() and next(folder.glob("word_*.png"), None):
            return folder, file
    wanted = " or ".join(f"{name}/" for name in names)
    raise BadData(f"root={root}: no ICDAR 2015 {split} words; expected {wanted}word_*.png and {LISTS[split]}")
