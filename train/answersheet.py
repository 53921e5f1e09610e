"""Answers to images: rows as csv, json, jsonl, labels as txt, written while they come."""

import csv
import errno
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TextIO

from shards import storage
from shards.errors import BadData, BadSettings
from shards.written import growing
from train.inputs import Encoded
from train.reader import Reading
from train.tasks import Read

COLUMNS = ("image", "text", "score", "error")
FOUND = ("found", "polygon")  # of words that were found in photographs
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # why a disk takes no more
RAW, SEVERAL = ("raw", "spans"), ("alternatives",)  # of readings, where they are asked for


@dataclass(frozen=True, slots=True)
class Shown:
    """What rows tell beside image, text, score and error."""

    places: bool = False  # where words were found
    raw: bool = False
    several: bool = False

    @property
    def columns(self) -> tuple[str, ...]:
        """Of tables and csv."""
        return COLUMNS + FOUND * self.places + RAW * self.raw + SEVERAL * self.several

    def cells(self, row: Reading) -> list[str | float]:
        """A row as people read it, by its columns."""
        return [READABLE.get(name, _same)(getattr(row, name)) for name in self.columns]

    def plain(self, row: Reading) -> dict:
        """A row as JSON values; what was not asked for is left out."""
        hidden = RAW * (not self.raw) + SEVERAL * (not self.several)
        return {name: value for name, value in asdict(row).items() if name not in hidden}


def _same(value: str | float) -> str | float:
    return value


READABLE = {
    "found": lambda value: "" if value is None else value,
    "polygon": lambda points: " ".join(f"{x:.1f},{y:.1f}" for x, y in points or ()),
    "spans": lambda spans: " ".join(f"{start:.1f}-{end:.1f}" for start, end in spans),
    "alternatives": lambda texts: " | ".join(f"{one.text} {one.probability:.4f}" for one in texts),
}


Batches = Iterable[Sequence[Reading]]  # the rows of some images, which stand in one batch


def _csv(batches: Batches, shown: Shown) -> Iterator[str]:
    """A header and a line for each row; there is no place for the characters."""
    yield _lines([shown.columns])
    for rows in batches:
        yield _lines(shown.cells(row) for row in rows)


def _lines(cells: Iterable[Sequence[str | float]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(cells)
    return file.getvalue()


def _jsonl(batches: Batches, shown: Shown) -> Iterator[str]:
    """A JSON object a line."""
    for rows in batches:
        yield "".join(f"{_object(row, shown)}\n" for row in rows)


def _json(batches: Batches, shown: Shown) -> Iterator[str]:
    """A list of JSON objects, one a line."""
    before = "[\n"
    for row in chain.from_iterable(batches):
        yield before + _object(row, shown)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _object(row: Reading, shown: Shown) -> str:
    return json.dumps(shown.plain(row), ensure_ascii=False)


def _labels(batches: Batches, shown: Shown) -> Iterator[str]:
    """An image a line, with its words as PaddleOCR's lists for detection have them."""
    for rows in batches:
        words: dict[str, list[dict]] = {}
        for row in rows:
            if not row.error:
                points = [[round(x), round(y)] for x, y in row.polygon or ()]
                words.setdefault(row.image, []).append({"transcription": row.text, "points": points})
        yield "".join(f"{name}\t{json.dumps(own, ensure_ascii=False)}\n" for name, own in words.items())


FORMATS = {"csv": _csv, "json": _json, "jsonl": _jsonl, "txt": _labels}


def form(out: str) -> str:
    """The format of a file by its suffix, or the one that is named alone: it is printed. Empty: neither."""
    name = out if out in FORMATS else Path(out).suffix[1:]
    if out and name not in FORMATS:
        known = ", ".join(f".{known}" for known in FORMATS)
        raise BadSettings(f"out={out}: no format {Path(out).suffix!r} (there are: {known})")
    return name


@contextmanager
def target(out: str) -> Iterator[TextIO]:
    """Where rows are written: standard output, or a file, which gets its name when it is whole."""
    if out in FORMATS:
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
        yield sys.stdout
        return
    path = storage.place(out)
    if path.is_dir():
        raise BadSettings(f"out={out}: a folder stands there; give another file")
    make(path.parent, f"out={out}")
    try:
        with growing(path) as file:
            yield file
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise BadSettings(f"out={out}: {error.strerror}; give another place") from None


def make(folder: Path, asked: str) -> None:
    """A folder in which files can be written; else a BadSettings that names what was asked for."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with storage.desk(folder, "try"):
            pass
    except OSError as error:
        raise BadSettings(f"{asked}: cannot be written ({error.strerror}); give another place") from None


def write(batches: Batches, out: str, shown: Shown) -> None:
    """Writes the rows as they come, to a file or on standard output; what cannot be is a BadSettings before
    the first batch is asked for.
    """
    name = form(out)
    if name == "txt" and not shown.places:
        raise BadSettings(f"out={out}: a txt holds words with their places: a detector finds them")
    with target(out) as file:
        for piece in FORMATS[name](batches, shown):
            file.write(piece)
            if out in FORMATS:
                file.flush()


def listable(found: Iterator[Encoded], out: str) -> Iterator[Encoded]:
    """The same images; of those whose names no line of a txt can hold, why not in place of their bytes."""
    if form(out) != "txt":
        return found
    return ((name, partial(_unlisted, name) if set("\t\r\n") & set(name) else get) for name, get in found)


def _unlisted(name: str) -> bytes:
    raise BadData(f"{name!r}: a tab or line end in a name has no place in a txt; rename it, or out=FILE.json")


def places(path: Path) -> dict[str, tuple[Read, ...]]:
    """The words of each image in a json or jsonl file as `write` makes it, without rows of errors; polygon
    may also be a `box` of left, top, right and bottom.
    """
    out: dict[str, list[Read]] = {}
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
        lines = path.suffix == ".jsonl"
        rows = [json.loads(line) for line in text.split("\n") if line.strip()] if lines else json.loads(text)
        for row in rows if isinstance(rows, list) else [rows]:
            if row.get("error"):
                continue
            if row.get("box"):
                left, top, right, bottom = (float(v) for v in row["box"])
                row["polygon"] = [(left, top), (right, top), (right, bottom), (left, bottom)]
            points = tuple((float(x), float(y)) for x, y in row["polygon"])
            if len(points) < 4:
                raise ValueError(f"a polygon of {len(points)} points")
            out.setdefault(str(row["image"]), []).append(Read(None, points, score=row.get("found")))
    except (KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise BadData(
            f'boxes={path}: not a list of {{"image": NAME, "polygon": [[x, y], ...]}} or "box" ({error!r})'
        ) from None
    return {name: tuple(words) for name, words in out.items()}
