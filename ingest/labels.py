"""Label files: lists of (image path, text). The format is declared, never guessed.

tsv    path TAB text            split at the first TAB
csv    path,text                by the csv module; `columns` names two columns of a header line
space  path text               split at the first space; no list of pairs in quotes
icdar  word_1.png, "Text"       split at the first comma, one pair of quotes removed, \\" and \\\\ unescaped
jsonl  {"image": ..., ...}      one JSON object to a line; `columns` names the keys of path and text

UTF-8 with an optional byte order mark. Only line ends are removed: a space can be part of a label. Empty
lines are skipped; any other line that does not fit is a BadData with file and line.
"""

import csv
import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.storage import content

BOM = b"\xef\xbb\xbf"
NAMED = ("csv", "jsonl")  # formats with names for path and text
FORMATS = ("tsv", "csv", "icdar", "space", "jsonl")


@dataclass(frozen=True, slots=True)
class Label:
    """One row of a listing: the path as the list writes it, its text, and the line it stands on (from 1)."""

    path: str
    text: str | None
    line: int


def read(path: Path, format: str, columns: tuple[str, ...] = ()) -> list[Label]:
    """All rows of a label file in its order; a path that stands there twice is an error."""
    if format not in FORMATS:
        raise BadSettings(unknown("format", format, list(FORMATS)))
    if columns and (format not in NAMED or len(columns) != 2):
        given, known = ",".join(columns), " or ".join(NAMED)
        raise BadSettings(f"columns={given}: two names, path and text, and only with format={known}")
    if format == "jsonl" and not columns:
        raise BadSettings("format=jsonl needs columns=PATH,TEXT, the keys of a line's object")
    lines, parsers = list(decoded_lines(path)), {**PARSERS, "jsonl": partial(_json, columns)}
    labels = list(_csv(path, lines, columns) if format == "csv" else _split(path, lines, parsers[format]))
    _refuse_twins(path, labels)
    return labels


def decoded_lines(path: Path) -> Iterator[str]:
    """Decoded lines of a list, each still with its line end; unreadable, or not UTF-8, is a BadData."""
    try:
        data = content(path).removeprefix(BOM)
    except OSError as error:
        raise BadData(f"{path}: no readable label file ({error.strerror})") from None
    for number, line in enumerate(data.splitlines(keepends=True), 1):
        try:
            yield line.decode()
        except UnicodeDecodeError as error:
            raise BadData(f"{path}:{number}: not UTF-8 ({error.reason} at byte {error.start})") from None


def _split(path: Path, lines: Iterable[str], parse: Callable[[str], tuple[str, str]]) -> Iterator[Label]:
    for number, line in enumerate(lines, 1):
        line = line.removesuffix("\n").removesuffix("\r")
        if line:
            try:
                yield Label(*parse(line), number)
            except ValueError as error:
                raise BadData(f"{path}:{number}: {error}: {line[:200]!r}") from None


def _tsv(line: str) -> tuple[str, str]:
    name, tab, text = line.partition("\t")
    if not tab or not name:
        raise ValueError("expected path TAB text")
    return name, text


def _space(line: str) -> tuple[str, str]:
    name, space, text = line.partition(" ")
    if not space or not name or name.endswith(","):
        raise ValueError("expected path SPACE text" + (", no comma: format=icdar" if "," in name else ""))
    return name, text


def _json(columns: tuple[str, ...], line: str) -> tuple[str, str]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from None
    name, text = (found.get(key) if isinstance(found, dict) else None for key in columns)
    if not isinstance(name, str) or not isinstance(text, str) or not name:
        raise ValueError(f"expected an object with the texts {' and '.join(columns)}")
    return name, text


def _icdar(line: str) -> tuple[str, str]:
    name, _, rest = line.partition(",")
    if not name:
        raise ValueError('expected path, "text"')
    return name, unquoted(rest.lstrip(" "), 'path, "text"')


def unquoted(text: str, expected: str) -> str:
    """A text without its pair of quotes, \\" and \\\\ unescaped; or a ValueError with what is expected."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        raise ValueError(f"expected {expected}")
    return re.sub(r"\\(.?)", _unescaped, text[1:-1], flags=re.DOTALL)


def _unescaped(found: re.Match[str]) -> str:
    if found[1] not in ("\\", '"') or not found[1]:
        raise ValueError(f'backslash before {found[1] or "the closing quote"!r}; it escapes only \\ and "')
    return found[1]


def _csv(path: Path, lines: list[str], columns: tuple[str, ...]) -> Iterator[Label]:
    reader = csv.reader(lines, strict=True)
    places, width, line = (0, 1), 2, 1
    try:
        if columns:
            header = next(reader, [])
            places, width, line = _places(path, header, columns), len(header), reader.line_num + 1
        for fields in reader:
            if fields and len(fields) != width:
                raise BadData(f"{path}:{line}: {len(fields)} fields, expected {width}: {fields!r:.200}")
            if fields:
                yield Label(fields[places[0]], fields[places[1]], line)
            line = reader.line_num + 1  # a quoted field may span lines: the next row starts here
    except csv.Error as error:
        raise BadData(f"{path}:{line}: {error}") from None


def _places(path: Path, header: list[str], columns: tuple[str, ...]) -> tuple[int, int]:
    for name in columns:
        if header.count(name) != 1:
            raise BadData(f"{path}:1: no single column {name!r} in the header {header}")
    return header.index(columns[0]), header.index(columns[1])


def _refuse_twins(path: Path, labels: list[Label]) -> None:
    seen: dict[str, int] = {}
    for label in labels:
        first = seen.setdefault(label.path, label.line)
        if first != label.line:
            raise BadData(f"{path}:{label.line}: {label.path!r} stands on line {first} already")


PARSERS: dict[str, Callable[[str], tuple[str, str]]] = {"tsv": _tsv, "icdar": _icdar, "space": _space}
