"""Handwritten words or lines as IAM lists them in plain text, beside the XML of `ingest.forms`.

    a01-000u-00-00 ok 154 408 768 27 51 AT A                 words.txt: x y width height, tag, text
    a01-000u-00 ok 154 19 408 746 1661 89 A|MOVE|to          lines.txt: components, x y width height, text

The id and ok or err stand first, then the level of binarisation. Eight blanks divide a line of the file, what
is behind the eighth is text; in that of a line | stands between the words. A file line that begins with # is
a comment. Nothing says who wrote a form.
"""

import re
from pathlib import Path

from ingest.forms import FLAGS, Form, Piece
from ingest.labels import decoded_lines
from shards.errors import BadData

FORM, NUMBER = r"([a-z][0-9]{2}-[0-9]{3}[a-z]?)", r"-?[0-9]+"
PARTS = {"words": 2, "lines": 1}  # numbers behind the form in an id
NUMBERS = {"words": (2, 3, 4, 5, 6), "lines": (2, 3, 4, 5, 6, 7)}  # places of fields that are numbers
FIELDS = 9


def read(file: Path, level: str) -> dict[str, Form]:
    """The forms by their ids, their pieces in the order of the file, writer empty; what does not fit is a
    BadData with file and line. level: words or lines.
    """
    forms: dict[str, list[Piece]] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(decoded_lines(file), 1):
        text = line.removesuffix("\n").removesuffix("\r")
        if not text or text.startswith("#"):
            continue
        form, piece = _piece(text, level, f"{file}:{number}")
        if seen.setdefault(piece.id, number) != number:
            raise BadData(f"{file}:{number}: id {piece.id!r} stands in line {seen[piece.id]} already")
        forms.setdefault(form, []).append(piece)
    if not seen:
        raise BadData(f"{file}: lists no {level}")
    empty = {name: () for name in PARTS}
    return {form: Form(form, "", **{**empty, level: tuple(pieces)}) for form, pieces in forms.items()}


def _piece(line: str, level: str, where: str) -> tuple[str, Piece]:
    """The form of a piece, and the piece."""
    fields = line.split(" ", FIELDS - 1)
    if len(fields) < FIELDS:
        raise BadData(f"{where}: {len(fields)} fields, expected {FIELDS} between blanks: {line[:200]!r}")
    name, flag, text = fields[0], fields[1], fields[-1]
    known = re.fullmatch(FORM + r"(?:-[0-9]+)" * PARTS[level], name)
    if not known:
        raise BadData(f"{where}: {name!r} is no id of {level}")
    if flag not in FLAGS:
        raise BadData(f"{where}: {name}: segmentation is {flag!r}, expected ok or err")
    wrong = [fields[i] for i in NUMBERS[level] if not re.fullmatch(NUMBER, fields[i])]
    if wrong:
        raise BadData(
            f"{where}: {name}: {wrong[0]!r} where a number was expected; is this a list of {level}?"
        )
    return known[1], Piece(name, text.replace("|", " ") if level == "lines" else text, flag)
