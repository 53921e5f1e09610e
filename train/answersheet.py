"""Answers to images as files: rows as csv, json, jsonl, labels as txt, and pictures with words drawn."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from shards.errors import BadData, BadSettings
from train.drawing import drawn
from train.reader import PHOTO, Answer, Given, Reading, opened
from train.tasks import Read

COLUMNS = ("image", "text", "score", "error")
FOUND = ("found", "polygon")  # of words that were found in photographs
FORMATS = (".csv", ".json", ".jsonl", ".txt")


def check(out: str, suffix: str) -> None:
    """Refuses a file of another format."""
    if suffix not in FORMATS:
        raise BadSettings(f"out={out}: no format {suffix!r} (there are: {', '.join(FORMATS)})")


def written(rows: Sequence[Reading], suffix: str) -> str:
    """The rows as the text of such a file; a .csv has no place for the characters, a .txt holds an image a
    line with its words as PaddleOCR's lists for detection have them.
    """
    plain = [asdict(row) for row in rows]
    if suffix == ".csv":
        return _csv(plain, any(row.polygon for row in rows))
    if suffix == ".txt":
        return _labels(rows)
    if suffix == ".jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in plain)
    return json.dumps(plain, ensure_ascii=False, indent=1) + "\n"


def _csv(plain: list[dict], found: bool) -> str:
    file = io.StringIO()
    columns = (*COLUMNS, *FOUND) if found else COLUMNS
    writer = csv.DictWriter(file, columns, "", "ignore", lineterminator="\n")
    writer.writeheader()
    for row in plain:
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in row["polygon"] or ())
        writer.writerow({**row, "polygon": points})
    return file.getvalue()


def _labels(rows: Sequence[Reading]) -> str:
    words: dict[str, list[dict]] = {}
    for row in rows:
        if row.error:
            continue
        if row.polygon is None:
            raise BadSettings("out=*.txt holds words with their places: a detector finds them")
        points = [[round(x), round(y)] for x, y in row.polygon]
        words.setdefault(row.image, []).append({"transcription": row.text, "points": points})
    return "".join(f"{name}\t{json.dumps(own, ensure_ascii=False)}\n" for name, own in words.items())


def places(path: Path) -> dict[str, tuple[Read, ...]]:
    """The words of each image in a json file as `written` makes it; polygon may also be a `box` of left,
    top, right and bottom.
    """
    out: dict[str, list[Read]] = {}
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        for row in rows if isinstance(rows, list) else [rows]:
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


def draw(folder: Path, name: str, given: Given, answer: Answer) -> None:
    """Writes the picture with its words as <its name>.jpg; one that could not be read is left out."""
    picture = opened(given, PHOTO)
    if isinstance(picture, Exception) or isinstance(answer, Exception):
        return
    folder.mkdir(parents=True, exist_ok=True)
    drawn(picture, answer, [""] * len(answer)).save(folder / f"{Path(name).stem}.jpg", quality=90)
