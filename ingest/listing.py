"""What sources with files share: a root that must exist, paths that stay below it, a digest."""

from pathlib import Path

from ingest.images import published
from ingest.labels import Label
from ingest.sources import Reject
from shards.errors import BadData
from shards.manifest import digest
from shards.sample import Record, Sample, Word


def existing(root: str) -> Path:
    """The root folder; missing, not a folder or empty is a BadData."""
    path = Path(root)
    if not root or not path.is_dir():
        raise BadData(f"root={root}: no such folder")
    if next(path.iterdir(), None) is None:
        raise BadData(f"root={root}: the folder is empty")
    return path


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


def word_sample(folder: Path, label: Label) -> Sample:
    """The sample of one word image below `folder`; Reject when it is missing or cannot be stored."""
    try:
        data = (folder / label.path).read_bytes()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise Reject("missing_image", label.path, f"line {label.line}" if label.line else "") from None
    except OSError as error:
        raise Reject("unreadable", label.path, error.strerror or type(error).__name__) from None
    image = published(data, label.path)
    record = Record((Word(label.text),), image.size, label.path, transcoded=image.transcoded)
    return Sample(image.image, image.suffix, record)
