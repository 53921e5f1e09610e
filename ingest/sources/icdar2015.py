"""ICDAR 2015 incidental scene text: the word crops of Task 4.3, in either of two layouts.

python -m ingest.shard source=icdar2015 root=DIR split=train,test out=DIR

    the challenge's                                     a common repository's
    ch4_training_word_images_gt/{word_*.png,gt.txt}     WordRecognition/TrainingSet/{word_*.png,gt.txt}
    ch4_test_word_images_gt/word_*.png                  WordRecognition/TestSet/word_*.png
    Challenge4_Test_Task3_GT.txt beside or inside it    WordRecognition/Challenge4_Test_Task3_GT.txt

root: the folder above these, the folder that holds the two splits, or the folder with the split's images.
"""

from dataclasses import dataclass
from pathlib import Path

from ingest.labels import read
from ingest.listing import existing, listing_digest, resolved, word_sample
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Sample

LICENCE = "CC BY 4.0 (as recorded by mmocr; not read on the challenge's page)"
LEVELS = ("words",)
FOLDERS = {
    "train": ("ch4_training_word_images_gt", "TrainingSet"),
    "test": ("ch4_test_word_images_gt", "TestSet"),
}
LISTS = {"train": "gt.txt", "test": "Challenge4_Test_Task3_GT.txt"}


@dataclass(frozen=True)
class Settings:
    """What a sample is."""

    level: str = "words"  # the crops of Task 4.3


class Source:
    """One row per line of the official list, in its order; labels are raw, case and punctuation included."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        if settings.level not in LEVELS:
            raise BadSettings(unknown("level", settings.level, list(LEVELS)))
        if split not in FOLDERS:
            raise BadSettings(unknown("split", split, list(FOLDERS)))
        self.folder, file = _layout(existing(root), split)
        self.labels = resolved(read(file, "icdar"), file)
        self.options: dict[str, object] = {"level": settings.level, "listing": listing_digest(self.labels)}

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, row: int) -> Sample:
        """A crop with its word. The photo it was cut from is not published with it, so it has no group."""
        return word_sample(self.folder, self.labels[row])


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
