"""A folder of word images with a list of labels, or without one.

python -m ingest.shard source=folder root=DIR labels=train_gt.txt format=icdar images=train_words out=DIR
"""

import os
from dataclasses import dataclass, field
from pathlib import Path

from ingest.labels import Label, read
from ingest.listing import existing, listing_digest, relative, resolved, word_sample
from shards.errors import BadData
from shards.pictures import SUFFIXES
from shards.sample import Sample

LICENCE = "not stated"


@dataclass(frozen=True)
class Settings:
    """How the list of labels is written."""

    labels: str = "labels.tsv"  # the list, below root; none = all images, sorted, without text
    format: str = "tsv"  # tsv | csv | icdar
    columns: list[str] = field(default_factory=list)  # csv with a header: the names of path and text
    images: str = ""  # the folder below root in which the list's paths begin


class Source:
    """One row per line of the list, in its order; with labels=none, per image file, sorted by path."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        folder = existing(root)
        self.folder = folder / relative(settings.images, "images") if settings.images else folder
        if not self.folder.is_dir():
            raise BadData(f"images={settings.images}: no such folder below {root}")
        if settings.labels == "none":
            self.labels = [Label(path, None, 0) for path in _images(self.folder)]
        else:
            file = folder / relative(settings.labels, "labels")
            self.labels = resolved(read(file, settings.format, tuple(settings.columns)), file)
        self.options: dict[str, object] = {"listing": listing_digest(self.labels)}

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, row: int) -> Sample:
        """The image as published with its raw label."""
        return word_sample(self.folder, self.labels[row])


def _images(folder: Path) -> list[str]:
    """Paths of all image files below a folder, with forward slashes, sorted."""
    found = [Path(at) / name for at, _, names in os.walk(folder) for name in names]
    return sorted(path.relative_to(folder).as_posix() for path in found if path.suffix.lower() in SUFFIXES)
