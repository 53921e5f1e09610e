"""MJSynth (Synth90k): nine million rendered words, each labelled twice.

python -m ingest.shard source=mjsynth root=mjsynth split=train,val,test out=DIR
python -m ingest.shard source=mjsynth root=mjsynth.tar split=train out=DIR

root: the folder with the annotation lists, a folder above it (mnt/ramdisk/max/90kDICT32px in the release), or
an uncompressed tar of either. The list gives a path and a line of the lexicon, the file name the word in its
case:

    ./2425/1/115_Lube_45484.jpg 45484       annotation_train.txt, annotation_val.txt, annotation_test.txt
    lube                                    lexicon.txt, the line after 45,484 others

The word in its case is the label; a row whose two words differ in more than case is rejected.
"""

import hashlib
from dataclasses import dataclass

import numpy as np

from ingest.labels import Label
from ingest.lines import Lines
from ingest.listing import word_sample
from ingest.sources import Reject
from ingest.trees import opened
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Sample

GIVES = "words"
EXPECTS = "annotation_*.txt and lexicon.txt in 90kDICT32px/, or a tar of it"
LICENCE = "none stated (research use; images and shards are not to be passed on)"
OFFICIAL = {"train": 7_224_612, "val": 802_734, "test": 891_927}  # rows of the published lists
LEXICON = "lexicon.txt"
ROW = rb"(?:\./)?(?:[\w-]+/)*\d+_[^/\s]*_\d+\.jpg \d{1,9}"
EXPECTED = "FOLDER/NUMBER_TEXT_NUMBER.jpg NUMBER"


@dataclass(frozen=True)
class Settings:
    """The release leaves nothing to choose."""


class Source:
    """One row per line of the split's list. The list is mapped, 8 bytes per row are held in memory."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        if split not in OFFICIAL:
            raise BadSettings(unknown("split", split, list(OFFICIAL)))
        self.official = OFFICIAL[split]
        self.tree, name = opened(root), f"annotation_{split}.txt"
        folders = self.tree.holding(name)
        if len(folders) != 1:
            places = ", ".join(self.tree.place(folder) for folder in folders) or "none"
            raise BadData(f"root={root}: one folder with {name} is needed there, found: {places}")
        self.base = f"{folders[0]}/" if folders[0] else ""
        listing, lexicon = self._list(name), self._list(LEXICON)
        self.rows = Lines(listing, self.tree.place(self.base + name), ROW, EXPECTED)
        place = self.tree.place(self.base + LEXICON)
        words = Lines(lexicon, place, rb"[^\s]+", "one word")
        self.lexicon = [words[row] for row in range(len(words))]
        self.options: dict[str, object] = {"listing": _sha256(listing), "lexicon": _sha256(lexicon)}

    def _list(self, name: str) -> np.ndarray:
        try:
            return self.tree.mapped(self.base + name)
        except OSError as error:
            place = self.tree.place(self.base + name)
            raise BadData(f"{place}: no readable list ({error.strerror or error})") from None

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> Sample:
        """The image as published, labelled in its case; Reject, by path, where labels or image fail."""
        listed, _, number = self.rows[row].rpartition(" ")
        path = listed.removeprefix("./")
        text = path.rpartition("/")[2].partition("_")[2].rpartition("_")[0]
        word = self.lexicon[int(number)] if int(number) < len(self.lexicon) else None
        if word is None:
            raise Reject("labels_differ", path, f"{LEXICON} ends before line {number}")
        if text.lower() != word:
            raise Reject("labels_differ", path, f"{text!r} in the name, {word!r} in {LEXICON}")
        return word_sample(self.tree, Label(self.base + path, text, row + 1), origin=path)


def _sha256(data: np.ndarray) -> str:
    return hashlib.sha256(data.data).hexdigest()
