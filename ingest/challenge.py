"""What the sets of the Robust Reading challenge have in common: word crops as published, annotated photos."""

from dataclasses import dataclass
from pathlib import Path

from ingest.labels import read
from ingest.listing import listing_digest, resolved, word_sample
from ingest.photos import Photos, scene
from ingest.regions import Syntax, photos, photos_digest
from ingest.trees import Folder
from shards.errors import BadData
from shards.sample import Meta, Sample


@dataclass(frozen=True, slots=True)
class Layout:
    """How a set calls its folders and lists, by split."""

    title: str  # as messages say it
    group: str  # of its photos
    words: dict[str, tuple[str, ...]]  # folders of word_N.png; any of these names
    lists: dict[str, str]  # of their labels, inside that folder or beside it
    photos: dict[str, tuple[str, str]]  # folders of the photos and of their lists
    syntax: Syntax  # of the latter
    inside: str = ""  # where else below root folders of words may stand


class Words:
    """Word images by a list. The photos they were cut from are not named there, so they have no group."""

    def __init__(self, folder: Path, file: Path, format: str = "icdar") -> None:
        self.folder, self.rows = Folder(folder), resolved(read(file, format), file)
        self.options: dict[str, object] = {"listing": listing_digest(self.rows)}

    def read(self, row: int) -> Sample:
        """The image as published with its raw label; see `word_sample`."""
        return word_sample(self.folder, self.rows[row])


class Scenes:
    """Whole photos; all samples of a photo, its crops included, are one group."""

    def __init__(self, layout: Layout, root: Path, split: str) -> None:
        images, lists = layout.photos[split]
        if not (root / images).is_dir() or not (root / lists).is_dir():
            raise BadData(f"root={root}: no {layout.title} {split} photos; expected {images}/ and {lists}/")
        self.photos, self.group = Photos(Folder(root / images)), f"{layout.group}/{split}"
        self.rows = photos(root / images, root / lists, layout.syntax)
        self.options: dict[str, object] = {"listing": photos_digest(self.rows)}

    def read(self, row: int) -> Sample:
        """The photo as published with its words; Reject: there is no list, or it cannot be stored."""
        photo = self.rows[row]
        words, image = [region.word for region in photo.listed()], self.photos.image(photo.image)
        return scene(image, photo.image, words, self.meta(row))

    def meta(self, row: int) -> Meta:
        """What the samples of a photo share."""
        return Meta(group=f"{self.group}/{self.rows[row].image}")


def published_words(layout: Layout, root: Path, split: str) -> Words:
    """The published crops. root: above the folders of both splits, or the folder of the split's images."""
    names, listing = layout.words[split], layout.lists[split]
    bases = (root.parent, root, *([root / layout.inside] if layout.inside else ()))
    folders = [base / name for base in bases for name in names if base != root.parent or name == root.name]
    found = [(folder, at / listing) for folder in folders for at in (folder, folder.parent)]
    if root.name not in sum(layout.words.values(), ()):  # a folder of another name must hold its list itself
        found.append((root, root / listing))
    for folder, file in found:
        if file.is_file() and next(folder.glob("word_*.png"), None):
            return Words(folder, file)
    wanted = " or ".join(f"{name}/" for name in names)
    raise BadData(f"root={root}: no {layout.title} {split} words; expected {wanted}word_*.png and {listing}")
