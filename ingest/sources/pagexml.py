"""PAGE XML: scanned pages with their lines of text, cut into lines or whole.

python -m ingest.shard source=pagexml root=DIR split=train out=DIR
python -m ingest.shard source=pagexml root=DIR pages={split}/page images={split} split=train,val out=DIR
python -m ingest.shard source=pagexml root=DIR level=scenes split=train out=DIR

    0001.jpg            the scans; paths in the files begin at `images`
    page/0001.xml       PcGts of 2013 to 2019 with imageFilename, and TextLines with points and Unicode text

Lines stand in the order of the file, which need not be that of reading. A line without a text is no crop, and
in a whole page a line that is not transcribed.
"""

from dataclasses import dataclass

from ingest import pages
from ingest.annotated import Leveled, Photo, at_level
from ingest.listing import existing, images_below, relative
from ingest.trees import Folder
from shards.errors import BadData
from shards.sample import Meta
from shards.storage import below

GIVES = "lines, or pages with outlines and texts"
EXPECTS = "page/*.xml and the images they name"
LICENCE = "not stated: that of the set inside"
SPLIT = "{split}"


@dataclass(frozen=True)
class Settings:
    """What a sample is, and where things are below root."""

    level: str = "crops"  # crops: lines cut here; scenes: whole pages
    crop: str = "box"  # of level=crops: box, mask (black outside the outline) or perspective (made upright)
    pages: str = "page"  # the folder of the XML files, {split} in it = the split
    images: str = ""  # the folder where imageFilename begins, {split} in it = the split; empty: root


class Source(Leveled):
    """One row per line with a text, or per page, in the order of the files' names; images that no file names
    come last and are rejected.
    """

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        base, name = existing(root), relative(settings.pages.replace(SPLIT, split), "pages")
        images = base / relative(settings.images.replace(SPLIT, split), "images") if settings.images else base
        files = sorted(file for file in below(base / name) if file.suffix == ".xml")
        if not files or not images.is_dir():
            raise BadData(f"root={root}: no .xml in pages={name}, or no folder images={settings.images}")
        self.per_split = SPLIT in settings.pages
        listed: dict[str, Photo] = {}
        for file in files:
            page = pages.read(file, file.relative_to(base / name).as_posix())
            if page.image in listed:
                raise BadData(f"{file}: {page.image!r} is the image of {listed[page.image].listing} already")
            listed[page.image] = page
        for image in images_below(images):
            listed.setdefault(image, Photo(image, "page that names it", None))
        photos, shared = list(listed.values()), Meta("pagexml", kind="lines")
        self.notes = [_summary(photos)]
        self.level = at_level(settings.level, settings.crop, photos, Folder(images), shared)
        self.options: dict[str, object] = {"level": settings.level, **self.level.options}


def _summary(photos: list[Photo]) -> str:
    lines = [piece for photo in photos for piece in photo.pieces or ()]
    mute, strange = (
        sum(line.word.text is None for line in lines),
        sum(photo.pieces is None for photo in photos),
    )
    counts = f"{len(lines)} lines of {len(photos) - strange} pages, {mute} of them without a text"
    return f"{counts}; {strange} images that no page names"
