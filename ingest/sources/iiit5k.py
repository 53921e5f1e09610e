"""IIIT 5K-word: words cut from photos and posters of the web, with the official split. Extra: mat.

python -m ingest.shard source=iiit5k root=DIR split=train,test out=DIR

    IIIT5K/train/1009_2.png         photo, word; IIIT5K/test/ likewise
    IIIT5K/traindata.mat            testdata.mat: names, words and two lexica for each, which are not kept
    IIIT5K/trainCharBound.mat       testCharBound.mat: names, characters and their boxes

Either file will do; where both are there they have to name the same images, and a row whose two words differ
in more than case is rejected, as is one without a box for each character. Labels are raw. Words of one photo
are one group within their split; the official split has words of many photos on both sides.
"""

from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from ingest.labels import Label
from ingest.listing import existing, listing_digest, resolved, word_sample
from ingest.sources import Reject
from ingest.trees import Folder
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Meta, Sample
from shards.storage import copied

GIVES = "words"
EXPECTS = "IIIT5K/ with train/, test/ and their .mat files"
LICENCE = "none stated (research use; images and shards are not to be passed on)"
OFFICIAL = {"train": 2000, "test": 3000}
NAME, WORD, CHARACTERS, BOXES = "ImgName", "GroundTruth", "chars", "charBB"


@dataclass(frozen=True)
class Settings:
    """The release leaves nothing to choose."""


class Source:
    """One row per element of the split's struct array, in its order; `file.mat:7` is its seventh."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        if split not in OFFICIAL:
            raise BadSettings(unknown("split", split, list(OFFICIAL)))
        self.official, self.split = OFFICIAL[split], split
        folder, words, characters = _lists(root, split)
        self.folder = Folder(folder)
        self.differ: dict[int, str] = {}  # row -> why its label cannot be trusted
        spelt = self._spelt(characters) if characters else []
        self.rows = _named(words, _structs(words, (NAME, WORD)), WORD, split) if words else spelt
        if words and characters:
            self._compare(words, characters, spelt)
        self.notes = [_summary(self.rows)]
        rows = [replace(row, text=None) if n in self.differ else row for n, row in enumerate(self.rows)]
        self.options: dict[str, object] = {"listing": listing_digest(rows)}

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> Sample:
        """The image as published with its raw label; Reject: labels_differ, missing_image, or an image that
        cannot be stored.
        """
        label = self.rows[row]
        if row in self.differ:
            raise Reject("labels_differ", label.path, self.differ[row])
        sample = word_sample(self.folder, label)
        photo = PurePosixPath(label.path).stem.rpartition("_")[0]
        group = Meta(group=f"iiit5k/{self.split}/{photo}") if photo else Meta()
        return replace(sample, record=replace(sample.record, meta=group))

    def _spelt(self, file: Path) -> list[Label]:
        """The rows of a CharBound file; those whose boxes are not one for each character are put down."""
        structs = _structs(file, (NAME, CHARACTERS, BOXES))
        rows = _named(file, structs, CHARACTERS, self.split)
        for row, (label, struct) in enumerate(zip(rows, structs, strict=True)):
            boxes = np.size(struct[BOXES]) / 4
            if boxes != len(label.text or ""):
                self.differ[row] = f"{file.name}:{label.line}: {boxes:g} boxes for {label.text!r}"
        return rows

    def _compare(self, words: Path, characters: Path, spelt: list[Label]) -> None:
        """Puts down the rows in which the two files differ; other names are a BadData."""
        theirs, boxes = {label.path: label for label in spelt}, self.differ
        alone = {row.path for row in self.rows} ^ theirs.keys()
        if alone:
            raise BadData(f"{words} and {characters.name} name other images, such as {min(alone)!r}")
        self.differ = {}
        for row, label in enumerate(self.rows):
            other = theirs[label.path]
            if other.line - 1 in boxes:
                self.differ[row] = boxes[other.line - 1]
            elif (label.text or "").casefold() != (other.text or "").casefold():
                said = f"{label.text!r} in {words.name}:{label.line}"
                self.differ[row] = f"{said}, {other.text!r} in {characters.name}:{other.line}"


def _lists(root: str, split: str) -> tuple[Path, Path | None, Path | None]:
    """The folder of both lists, that of the words, that of their characters; at least one is there."""
    tree, names = Folder(existing(root)), (f"{split}data.mat", f"{split}CharBound.mat")
    folders = sorted({folder for name in names for folder in tree.holding(name)})
    if len(folders) != 1:
        found = ", ".join(tree.place(folder) for folder in folders) or "none"
        raise BadData(f"root={root}: one folder with {' or '.join(names)} is needed there, found: {found}")
    folder = tree.path / folders[0]
    words, characters = (folder / name if (folder / name).is_file() else None for name in names)
    return folder, words, characters


def _structs(file: Path, wanted: tuple[str, ...]) -> list[Any]:
    """The elements of the struct array that bears the file's name; each has the wanted fields."""
    try:
        loadmat = import_module("scipy.io").loadmat
    except ImportError:
        raise BadSettings("source=iiit5k needs the extra: pip install 'ocr-distillery[mat]'") from None
    try:
        found = loadmat(copied(file), variable_names=[file.stem], squeeze_me=True).get(file.stem)
    except Exception as error:  # whatever the bytes make of the parser
        raise BadData(f"{file}: not a MATLAB file that can be read ({error})") from None
    fields = getattr(getattr(found, "dtype", None), "names", None) or ()
    missing = [name for name in wanted if name not in fields]
    if found is None or missing:
        raise BadData(f"{file}: no struct array {file.stem} with {', '.join(missing)}")
    return list(np.atleast_1d(found))


def _named(file: Path, structs: list[Any], field: str, split: str) -> list[Label]:
    """Names and texts of all elements, each image once and in the split's own folder."""
    rows = [
        Label(_text(file, number, struct, NAME), _text(file, number, struct, field), number)
        for number, struct in enumerate(structs, 1)
    ]
    rows = resolved(rows, file)
    for row in rows:
        if not row.path.startswith(f"{split}/"):
            raise BadData(f"{file}:{row.line}: {row.path!r} is no image of {split}/")
    return rows


def _text(file: Path, number: int, struct: Any, field: str) -> str:
    value = np.asarray(struct[field])
    if value.size != 1 or value.dtype.kind != "U" or not value.item():
        raise BadData(f"{file}:{number}: {field} is {struct[field]!r}, expected a text")
    return value.item()


def _summary(rows: list[Label]) -> str:
    """What decides whether scores of 62 and 94 characters mean anything."""
    texts = [row.text or "" for row in rows]
    lower = sum(text != text.upper() for text in texts)
    others = sum(not (text.isascii() and text.isalnum()) for text in texts)
    return f"{lower} of {len(texts)} labels have lower-case letters, {others} more than letters and digits"
