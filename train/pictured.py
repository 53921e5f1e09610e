"""Pictures with their words drawn, each in a file of a folder."""

from pathlib import Path
from typing import Protocol

from PIL import Image, UnidentifiedImageError

from shards.errors import BadData
from train.answersheet import make
from train.drawing import drawn
from train.reader import PHOTO, Answer, Given, opened

MARK = b"words drawn by OCR Distillery"  # the comment of such files: others are never overwritten


class Pictures(Protocol):
    """Where pictures are drawn. wrong: which could not be written, and why; or empty."""

    wrong: str

    def draw(self, name: str, given: Given, answer: Answer) -> None:
        """Writes an image with its words; one that could not be read is left out."""
        ...


class Nowhere:
    """Draws nothing."""

    wrong = ""

    def draw(self, name: str, given: Given, answer: Answer) -> None:
        """See Pictures."""


class Folder:
    """<the image's name without its ending>.jpg in a folder, and where another image has that, <name>-2.jpg
    and so on: in one order of images the same names. What was not drawn by this class is never overwritten.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.wrong = ""
        self._taken: set[str] = set()
        make(path, f"drawn={path}")

    def draw(self, name: str, given: Given, answer: Answer) -> None:
        """See Pictures."""
        picture = opened(given, PHOTO)
        if isinstance(picture, Exception) or isinstance(answer, Exception):
            return
        file = self.path / self._named(Path(name).stem)
        try:
            _refuse_others(file)
            drawn(picture, answer, [""] * len(answer)).save(file, quality=90, comment=MARK)
        except (BadData, OSError, ValueError) as error:
            self.wrong = self.wrong or f"drawn={self.path}: {file} cannot be written ({error})"

    def _named(self, stem: str) -> str:
        """A name that no other image of this run has, whether a disk tells capital letters apart or not."""
        found, number = stem, 1
        while found.casefold() in self._taken:
            number += 1
            found = f"{stem}-{number}"
        self._taken.add(found.casefold())
        return f"{found}.jpg"


def _refuse_others(file: Path) -> None:
    """A BadData where a file stands that was not drawn here; an empty one is left of a full disk."""
    if not file.exists() or not file.stat().st_size:
        return
    try:
        with Image.open(file) as old:
            own = old.info.get("comment") == MARK
    except UnidentifiedImageError:
        own = False
    if not own:
        raise BadData("another file stands there; give another folder")


def pictures(folder: str) -> Pictures:
    """Those of drawn=, empty: none are."""
    return Folder(Path(folder)) if folder else Nowhere()
