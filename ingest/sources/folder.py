"""A folder of word images, and their texts in a list, in a file beside each, in their names, or nowhere.

python -m ingest.shard source=folder root=DIR labels=train_gt.txt format=icdar images=train_words out=DIR
python -m ingest.shard source=folder root=DIR labels={split}.jsonl format=jsonl columns=image,text out=DIR
python -m ingest.shard source=folder root=DIR labels=name pattern={n}_{text}_{id} out=DIR

    a/7.png         the images, at any depth
    a/7.txt         labels=beside: one line of text to each
    1_Word_9.png    labels=name: the text is what stands in place of {text} in `pattern`

In a name, other fields are as short and the text as long as can be. What a file system forbids in names is
lost from such texts, so their record's kind says where they come from.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from ingest.labels import Label, decoded_lines, read
from ingest.listing import existing, images_below, listing_digest, relative, resolved, word_sample
from ingest.sources import Reject
from ingest.trees import Folder
from shards.errors import BadData, BadSettings
from shards.sample import Meta, Sample
from shards.storage import below

GIVES = "words"
EXPECTS = "images and a list of labels, text files beside them, or texts in their names"
LICENCE = "not stated"
SPLIT = "{split}"
FROM_NAME = Meta(kind="text from the file name")
Found = tuple[str, str | None, str]  # an image's path, its text, why it cannot become a sample or ""


@dataclass(frozen=True)
class Settings:
    """Where the texts are, and how they are written."""

    labels: str = "labels.tsv"  # a list below root, {split} in it = the split; or: beside | name | none
    format: str = "tsv"  # of a list: tsv | csv | icdar | space | jsonl
    columns: list[str] = field(default_factory=list)  # names of path and text: csv with a header, jsonl
    pattern: str = ""  # of labels=name: a file's name without its ending, such as {n}_{text}_{id}
    images: str = ""  # the folder below root where paths begin, {split} in it = the split


class Source:
    """One row per line of the list, in its order; without a list, per image or text file, sorted by path."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        folder = existing(root)
        names = {"labels": settings.labels, "images": settings.images}
        self.per_split = any(SPLIT in name for name in names.values())
        labels, images = (name.replace(SPLIT, split) for name in names.values())
        self.folder = folder / relative(images, "images") if images else folder
        if not self.folder.is_dir():
            raise BadData(f"images={images}: no such folder below {root}")
        if bool(settings.pattern) != (labels == "name"):
            raise BadSettings(f"pattern={settings.pattern} and labels=name go together; labels is {labels}")
        self.rejects: dict[int, str] = {}
        self.meta = FROM_NAME if labels == "name" else Meta()
        if labels in UNLISTED:
            found = sorted(UNLISTED[labels](self.folder, settings.pattern))
            whys = ["misnamed" if _readable(path) != path else why for path, _, why in found]
            self.rejects = {row: why for row, why in enumerate(whys) if why}
            self.labels = [
                Label(_readable(path), None if why else text, 0)
                for (path, text, _), why in zip(found, whys, strict=True)
            ]
        else:
            file = folder / relative(labels, "labels")
            self.labels = resolved(read(file, settings.format, tuple(settings.columns)), file)
        self.options: dict[str, object] = {"listing": listing_digest(self.labels)}

    def __len__(self) -> int:
        return len(self.labels)

    def group(self, row: int) -> str:
        """What a row shares with others: its path."""
        return self.labels[row].path

    def read(self, row: int) -> Sample:
        """The image as published with its raw label; Reject: misnamed (its file's name is not UTF-8),
        missing_label, empty_label, or see `word_sample`.
        """
        label = self.labels[row]
        if row in self.rejects:
            raise Reject(self.rejects[row], label.path)
        sample = word_sample(Folder(self.folder), label)
        return replace(sample, record=replace(sample.record, meta=self.meta))


def _bare(folder: Path, pattern: str) -> list[Found]:
    return [(path, None, "") for path in images_below(folder)]


def _beside(folder: Path, pattern: str) -> list[Found]:
    """Images with the text file of their name; a text file without an image is a row, too."""
    images = {PurePosixPath(path).with_suffix(".txt").as_posix(): path for path in images_below(folder)}
    if len(images) < len(images_below(folder)):
        twin = next(path for path in images_below(folder) if path not in images.values())
        raise BadData(f"{folder / twin}: another image would share its text file")
    texts = {file.relative_to(folder).as_posix() for file in below(folder) if file.suffix == ".txt"}
    found: list[Found] = [(images[name], *_line(folder / name)) for name in texts & images.keys()]
    found += [(images[name], None, "missing_label") for name in images.keys() - texts]
    return found + [(name, None, "missing_image") for name in texts - images.keys()]


def _line(file: Path) -> tuple[str, str]:
    """The one line of a file, and why it is no label or ""; more lines are a BadData."""
    lines = [line.removesuffix("\n").removesuffix("\r") for line in decoded_lines(file)]
    if len(lines) > 1:
        raise BadData(f"{file}:2: expected one line of text: {lines[1][:200]!r}")
    return "".join(lines), "" if any(lines) else "empty_label"


def _named(folder: Path, pattern: str) -> list[Found]:
    """Images with the text in their name; one that does not fit the pattern has no label."""
    parts = re.split(r"(\{\w+\})", pattern)
    if parts.count("{text}") != 1:
        raise BadSettings(f"pattern={pattern}: expected {{text}} once, as in {{n}}_{{text}}_{{id}}")
    fields = {"{text}": "(.+)"}
    stem = "".join(fields.get(part, ".+?" if part[:1] == "{" else re.escape(part)) for part in parts)
    fits = re.compile(stem, re.DOTALL)
    found = [(path, fits.fullmatch(PurePosixPath(path).stem)) for path in images_below(folder)]
    return [(path, match and match[1], "" if match else "missing_label") for path, match in found]


UNLISTED: dict[str, Callable[[Path, str], list[Found]]] = {"none": _bare, "beside": _beside, "name": _named}


def _readable(path: str) -> str:
    """The path with bytes that are not UTF-8 as \\xNN, so that it can be hashed and written down."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
