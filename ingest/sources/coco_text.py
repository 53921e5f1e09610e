"""COCO-Text v2: words cut from COCO's photos, or whole photos, with the official split.

python -m ingest.shard source=coco_text root=DIR images=train2014 split=train,val out=DIR
python -m ingest.shard source=coco_text root=DIR images=train2014 mask=true split=train out=DIR
python -m ingest.shard source=coco_text root=DIR images=train2014 level=scenes split=train,val out=DIR

    cocotext.v2.json                                        the annotations
    train2014/COCO_train2014_000000540965.jpg               COCO's photos, which do not come with them

level=crops takes the boxes of words that are legible and have a text; language and class (printed, written)
are kept as the record's language and kind. level=scenes takes all: what is illegible is a region to ignore,
what is legible without a text a word that is not transcribed. Texts are raw. A split without any annotation,
as of a test set that was never published, is refused: its photos are none without words.
"""

from collections import Counter
from dataclasses import dataclass
from functools import partial

from ingest import coco, crops
from ingest.listing import existing, relative
from ingest.photos import Cut, Photos, scene
from ingest.sources import Reject
from ingest.trees import Folder
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Meta, Sample, Word
from shards.written import digest

GIVES = "words, or photos with outlines and texts"
EXPECTS = "cocotext.v2.json and COCO's train2014/"
LICENCE = "not established (photos: COCO's, each under its own)"


@dataclass(frozen=True)
class Settings:
    """What a sample is, and where things are below root."""

    level: str = "crops"  # crops: words cut here; scenes: photos with all their words
    mask: bool = False  # of level=crops: what lies outside a word's outline becomes black
    annotations: str = "cocotext.v2.json"  # the file
    images: str = "train2014"  # the folder of the photos


class Source:
    """One row per word, by photo and then as its list has them, or per photo, by number."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        if settings.level not in LEVELS:
            raise BadSettings(unknown("level", settings.level, list(LEVELS)))
        if split not in coco.SETS:
            raise BadSettings(unknown("split", split, list(coco.SETS)))
        if settings.mask and settings.level != "crops":
            raise BadSettings(f"mask=true is for level=crops; level is {settings.level}")
        base = existing(root)
        images = base / relative(settings.images, "images")
        if not images.is_dir():
            raise BadData(f"images={settings.images}: no such folder below root={root}")
        file = base / relative(settings.annotations, "annotations")
        if not file.is_file():
            raise BadData(f"annotations={settings.annotations}: no such file below root={root}")
        listed = coco.read(file, split)
        if not any(photo.instances for photo in listed):
            raise BadData(f"{file}: no photo of split={split} has a word, so nobody annotated them")
        self.notes = [_summary(listed)]
        self.level = LEVELS[settings.level](listed, Photos(Folder(images)), split, settings.mask)
        facts = [[photo.image, photo.size, _facts(photo)] for photo in listed]
        self.options: dict[str, object] = {
            "level": settings.level, "listing": digest(facts), **self.level.options
        }  # fmt: skip

    def __len__(self) -> int:
        return len(self.level.rows)

    def read(self, row: int) -> Sample:
        """The sample of a row; Reject: missing_list, missing_image, size_differs, empty_box, outside_photo,
        or a photo that cannot be stored.
        """
        return self.level.read(row)


class _Crops:
    """Legible words with a text; a photo that has no list of words is one row, rejected."""

    def __init__(self, listed: list[coco.Photo], photos: Photos, split: str, mask: bool) -> None:
        self.photos, self.split, self.mask = photos, split, mask
        self.options: dict[str, object] = {"mask": mask, "cutting": crops.VERSION}
        self.rows: list[tuple[coco.Photo, coco.Instance | None]] = []
        for photo in listed:
            words = (None,) if photo.instances is None else photo.instances
            self.rows += [(photo, one) for one in words if one is None or (one.legible and one.text)]

    def read(self, row: int) -> Sample:
        photo, one = self.rows[row]
        if one is None:
            raise _unlisted(photo)
        origin = f"{photo.image}:{one.id}"
        if min(one.box[2:]) <= 0:
            raise Reject("empty_box", origin, f"{one.box}")
        meta = Meta(_group(self.split, photo), language=one.language, kind=one.kind)
        cut = Cut(photo.image, photo.size, crops.touched(*one.box), one.text or "", origin, meta)
        return self.photos.word(cut, partial(crops.masked, outline=one.polygon) if self.mask else crops.box)


class _Scenes:
    """Photos with all their words."""

    def __init__(self, listed: list[coco.Photo], photos: Photos, split: str, mask: bool) -> None:
        self.photos, self.split, self.rows = photos, split, listed
        self.options: dict[str, object] = {}

    def read(self, row: int) -> Sample:
        photo = self.rows[row]
        if photo.instances is None:
            raise _unlisted(photo)
        words = tuple(Word(one.text, one.polygon, one.legible) for one in photo.instances)
        image = self.photos.image(photo.image, photo.size)
        return scene(image, photo.image, words, Meta(_group(self.split, photo)))


LEVELS = {"crops": _Crops, "scenes": _Scenes}


def _group(split: str, photo: coco.Photo) -> str:
    return f"coco_text/{split}/{photo.image}"


def _unlisted(photo: coco.Photo) -> Reject:
    return Reject("missing_list", photo.image, "imgToAnns does not say which words it has")


def _facts(photo: coco.Photo) -> list[object] | None:
    if photo.instances is None:
        return None
    return [[w.id, w.text, w.legible, w.box, w.polygon, w.language, w.kind] for w in photo.instances]


def _summary(listed: list[coco.Photo]) -> str:
    words = [one for photo in listed for one in photo.instances or ()]
    legible = [one for one in words if one.legible]
    said = Counter(f"{one.language}, {one.kind}" for one in legible if one.text)
    kinds = "; ".join(f"{count} {kind}" for kind, count in said.most_common())
    mute, unreadable = sum(one.text is None for one in legible), len(words) - len(legible)
    without = sum(not photo.instances for photo in listed)
    return (
        f"{len(words)} words of {len(listed)} photos, {without} of them without words: {kinds}; "
        f"{mute} legible without a text, {unreadable} illegible"
    )
