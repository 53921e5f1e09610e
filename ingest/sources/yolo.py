"""YOLO text files: photos with upright boxes, and no texts.

python -m ingest.shard source=yolo root=DIR split=train,val out=DIR
python -m ingest.shard source=yolo root=DIR folder={split}_icdar split=train,test max_reject_frac=.25 out=DIR
python -m ingest.shard source=yolo root=DIR text=0,1 ignore=2 unlabelled=text_free split=train out=DIR

    images/train/a/7.jpg        images and labels are mirrored trees
    labels/train/a/7.txt        class, centre x, centre y, width, height; shares of the image
    ignore/train/a/7.txt        the same for words that nobody can read; only where there are any

An empty file says that a photo has no text. A photo without a file is rejected, since nobody said so, unless
`unlabelled=text_free` does. The format has no don't-care: `shards.unpack to=yolo` makes ignore/ of it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ingest.annotated import Parse, Photo, paired, photos_digest
from ingest.listing import existing, relative
from ingest.photos import Photos, scene
from ingest.trees import Folder
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Meta, Point, Sample, Word

GIVES = "photos with upright boxes, no texts"
EXPECTS = "images/SPLIT/ and labels/SPLIT/, mirrored"
LICENCE = "not stated: that of the set inside"
SPLIT = "{split}"
UNLABELLED = ("reject", "text_free")
SHARE = r"\s+([0-9]*\.?[0-9]+(?:[eE]-?[0-9]{1,3})?)"
BOX = re.compile(r"\s*([0-9]{1,6})" + 4 * SHARE + r"\s*", re.ASCII)
NAMES = "classes.txt"  # the names of the classes, which some tools keep among the labels


@dataclass(frozen=True)
class Settings:
    """Where things stand, and what the classes mean."""

    folder: str = SPLIT  # below images/ and labels/, {split} in it = the split
    text: list[int] = field(default_factory=lambda: [0])  # classes that are text
    ignore: list[int] = field(default_factory=list)  # classes that are neither text nor background
    unlabelled: str = "reject"  # photos without a file: reject, or text_free where that is what it means


class Source:
    """One row per photo or list, by name, numbers in it by their size."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        if settings.unlabelled not in UNLABELLED:
            raise BadSettings(unknown("unlabelled", settings.unlabelled, list(UNLABELLED)))
        if both := set(settings.text) & set(settings.ignore):
            raise BadSettings(f"class {min(both)} is given both as text= and as ignore=")
        base, name = existing(root), relative(settings.folder.replace(SPLIT, split), "folder")
        images, labels = base / "images" / name, base / "labels" / name
        for kind, folder in (("images", images), ("labels", labels)):
            if not folder.is_dir():
                raise BadData(f"folder={settings.folder}: no {kind}/{name} below root={root}")
        self.per_split = SPLIT in settings.folder
        listed = paired(images, labels, _parser(settings.text, settings.ignore), besides=NAMES)
        unread = {photo.listing: photo for photo in _unreadable(base, name)}
        listed = [_joined(photo, unread.get(photo.listing)) for photo in listed]
        if settings.unlabelled == "text_free":
            listed = [replace(photo, pieces=photo.pieces or ()) for photo in listed]
        self.rows, self.photos, self.name = listed, Photos(Folder(images)), name
        self.notes = [_summary(listed)]
        self.options: dict[str, object] = {"listing": photos_digest(listed)}

    def __len__(self) -> int:
        return len(self.rows)

    def group(self, row: int) -> str:
        """What a row shares with others: its photo."""
        return f"yolo/{self.name}/{self.rows[row].image}"

    def read(self, row: int) -> Sample:
        """The photo as published with its boxes; Reject: missing_list, or see `Photos.image`."""
        photo = self.rows[row]
        found, image = photo.listed(), self.photos.image(photo.image)
        words = [_scaled(piece.word, image.size) for piece in found]
        return scene(image, photo.image, words, Meta(self.group(row)))


def _parser(text: Sequence[int], ignore: Sequence[int]) -> Parse:
    def parse(line: str) -> tuple[Word, None]:
        found = BOX.fullmatch(line)
        x, y, width, height = (float(found[place]) for place in (2, 3, 4, 5)) if found else (2.0,) * 4
        if not found or max(x, y, width, height) > 1:
            raise ValueError(
                "expected class, centre x, centre y, width, height, all but the first from 0 to 1"
            )
        if min(width, height) == 0:
            raise ValueError("the box has no area")
        kind = int(found[1])
        if kind not in (*text, *ignore):
            raise ValueError(f"class {kind} is neither in text={_list(text)} nor in ignore={_list(ignore)}")
        left, top, right, bottom = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        corners: tuple[Point, ...] = ((left, top), (right, top), (right, bottom), (left, bottom))
        return Word(None, corners, legible=kind in text), None

    return parse


def _list(classes: Sequence[int]) -> str:
    return ",".join(map(str, classes)) or "(none)"


def _unreadable(base: Path, name: str) -> list[Photo]:
    """What the lists in ignore/ say; each belongs to one in labels/."""
    found = paired(base / "ignore" / name, base / "ignore" / name, _parser((), range(10**6)))
    for photo in found:
        if not (base / "labels" / name / photo.listing).is_file():
            raise BadData(f"{base / 'ignore' / name / photo.listing}: no such list in labels/{name}")
    return found


def _joined(photo: Photo, unread: Photo | None) -> Photo:
    if unread is None or photo.pieces is None:
        return photo
    return replace(photo, pieces=(*photo.pieces, *(unread.pieces or ())))


def _scaled(word: Word, size: tuple[int, int]) -> Word:
    """The word with its corners in pixels, each on the picture."""
    corners = word.polygon or ()
    inside = ((min(max(x, 0.0), 1.0), min(max(y, 0.0), 1.0)) for x, y in corners)
    return replace(word, polygon=tuple((x * size[0], y * size[1]) for x, y in inside))


def _summary(listed: list[Photo]) -> str:
    words = [piece.word for photo in listed for piece in photo.pieces or ()]
    silent = sum(photo.pieces is None for photo in listed)
    free = sum(photo.pieces == () for photo in listed)
    ignored = sum(not word.legible for word in words)
    return (
        f"{len(words)} boxes of {len(listed)} photos, {ignored} of them to be ignored; "
        f"{free} photos without text, {silent} without a file that says so"
    )
