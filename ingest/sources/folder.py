"""A folder of word images with a list of labels, or without one.

python -m ingest.shard source=folder root=DIR labels=train_gt.txt format=icdar images=train_words out=DIR
python -m ingest.shard source=folder root=DIR labels={split}.tsv split=train,test out=DIR
python -m ingest.shard source=folder root=DIR labels=IIIT5K_{split}_label.txt format=space split=test out=DIR
"""

from dataclasses import dataclass, field

from ingest.labels import Label, read
from ingest.listing import existing, images_below, listing_digest, relative, resolved, word_sample
from ingest.sources import Reject
from ingest.trees import Folder
from shards.errors import BadData
from shards.sample import Sample

LICENCE = "not stated"
SPLIT = "{split}"


@dataclass(frozen=True)
class Settings:
    """How the list of labels is written."""

    labels: str = "labels.tsv"  # the list below root, {split} in it = the split; none = all images, no text
    format: str = "tsv"  # tsv | csv | icdar | space
    columns: list[str] = field(default_factory=list)  # csv with a header: the names of path and text
    images: str = ""  # the folder below root where the list's paths begin, {split} in it = the split


class Source:
    """One row per line of the list, in its order; with labels=none, per image file, sorted by path."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        folder = existing(root)
        names = {"labels": settings.labels, "images": settings.images}
        self.per_split = any(SPLIT in name for name in names.values())
        labels, images = (name.replace(SPLIT, split) for name in names.values())
        self.folder = folder / relative(images, "images") if images else folder
        if not self.folder.is_dir():
            raise BadData(f"images={images}: no such folder below {root}")
        self._misnamed: set[int] = set()
        if labels == "none":
            paths = images_below(self.folder)
            self._misnamed = {row for row, path in enumerate(paths) if _readable(path) != path}
            self.labels = [Label(_readable(path), None, 0) for path in paths]
        else:
            file = folder / relative(labels, "labels")
            self.labels = resolved(read(file, settings.format, tuple(settings.columns)), file)
        self.options: dict[str, object] = {"listing": listing_digest(self.labels)}

    def __len__(self) -> int:
        return len(self.labels)

    def read(self, row: int) -> Sample:
        """The image as published with its raw label; Reject also where the file's name is not UTF-8."""
        if row in self._misnamed:
            raise Reject("misnamed", self.labels[row].path, "the file name is not UTF-8")
        return word_sample(Folder(self.folder), self.labels[row])


def _readable(path: str) -> str:
    """The path with bytes that are not UTF-8 as \\xNN, so that it can be hashed and written down."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
