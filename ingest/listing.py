"""What sources with files share: a root that must exist, paths that stay below it, a digest."""

from pathlib import Path
from typing import Protocol

from ingest.images import published
from ingest.labels import Label
from ingest.sources import SCARCE, Reject
from shards.errors import BadData
from shards.pictures import SUFFIXES, Published
from shards.sample import Record, Sample, Word
from shards.storage import below, place
from shards.written import digest


def existing(root: str) -> Path:
    """The root folder; missing, not a folder or empty is a BadData."""
    path = place(root)
    if not root or not path.is_dir():
        raise BadData(f"root={root}: no such folder")
    if next(path.iterdir(), None) is None:
        raise BadData(f"root={root}: the folder is empty")
    return path


def images_below(folder: Path) -> list[str]:
    """Paths of all image files below a folder, with forward slashes, sorted; see `storage.below`."""
    found = (path for path in below(folder) if path.suffix.lower() in SUFFIXES)
    return sorted(path.relative_to(folder).as_posix() for path in found)


def relative(name: str, where: str) -> str:
    """A listed path with forward slashes and no leading ./; one that leaves its folder is a BadData."""
    path = name.replace("\\", "/")
    while path.startswith("./"):
        path = path[2:].lstrip("/")
    drive = len(path) > 1 and path[1] == ":"
    if not path or "\0" in path or path.startswith("/") or drive or ".." in path.split("/"):
        raise BadData(f"{where}: path {name!r} does not stay below the folder")
    return path


def resolved(labels: list[Label], file: Path) -> list[Label]:
    """The labels with `relative` paths; two that become the same file are a BadData."""
    seen: dict[str, int] = {}
    out = []
    for label in labels:
        path = relative(label.path, f"{file}:{label.line}")
        if seen.setdefault(path, label.line) != label.line:
            raise BadData(f"{file}:{label.line}: {label.path!r} is the image of line {seen[path]} already")
        out.append(Label(path, label.text, label.line))
    return out


def listing_digest(labels: list[Label]) -> str:
    """sha256 of paths and texts in order: a changed listing is another data set."""
    return digest([[label.path, label.text] for label in labels])


class Tree(Protocol):
    """Where files stand; `ingest.trees` has the kinds."""

    def read(self, path: str) -> bytes:
        """The bytes of a file, or an OSError."""
        ...


def image_at(tree: Tree, path: str, origin: str, listed: str) -> Published:
    """An image of a tree as it will be stored; Reject, with where it is `listed`, when it cannot be."""
    try:
        data = tree.read(path)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise Reject("missing_image", origin, listed) from None
    except OSError as error:
        if error.errno in SCARCE:
            raise
        raise Reject("unreadable", origin, error.strerror or type(error).__name__) from None
    return published(data, origin)


def word_sample(tree: Tree, label: Label, origin: str = "") -> Sample:
    """The sample of one word image of a tree, by its path or another origin; see `image_at`."""
    origin = origin or label.path
    image = image_at(tree, label.path, origin, f"line {label.line}" if label.line else "")
    record = Record((Word(label.text),), image.size, origin, transcoded=image.transcoded)
    return Sample(image.image, image.suffix, record)
