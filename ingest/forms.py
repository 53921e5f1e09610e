"""Handwritten forms as IAM describes them, one XML file to a form: its writer, its lines, their words.

<form id="a01-000u" writer-id="000">
 <handwritten-part>
  <line id="a01-000u-00" segmentation="ok" text="A MOVE to">
   <word id="a01-000u-00-00" text="A"/> ...
"""

import html
import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from ingest import markup
from shards.errors import BadData

FLAGS = ("ok", "err")
ESCAPED = re.compile(r"&(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9A-Fa-f]+);")


@dataclass(frozen=True, slots=True)
class Piece:
    """A line or a word: its id, its text (None: not given), and the segmentation of its line (ok, err)."""

    id: str
    text: str | None
    segmentation: str


@dataclass(frozen=True, slots=True)
class Form:
    """A form, who wrote it, and its pieces by level, in their order."""

    id: str
    writer: str
    lines: tuple[Piece, ...]
    words: tuple[Piece, ...]


def read(file: Path, entities: int = 1) -> Form:
    """The form of a file; what does not fit is a BadData with the file and the line or the id.

    entities: how often texts are decoded; 1 is what XML says. A text that still holds an entity is refused.
    """
    form, _ = markup.read(file)
    name, writer = form.get("id"), form.get("writer-id")
    if form.tag != "form" or not name or name != file.stem or not writer:
        raise BadData(f"{file}: expected a form with id={file.stem!r} and a writer-id, found {form.attrib}")
    found = form.findall("handwritten-part/line")
    if not found:
        raise BadData(f"{file}: no line in a handwritten-part")
    lines = tuple(_piece(file, line, line, entities) for line in found)
    words = tuple(_piece(file, word, line, entities) for line in found for word in line.findall("word"))
    ids = [piece.id for piece in lines + words]
    twice = next((one for place, one in enumerate(ids) if one in ids[:place]), None)
    if twice:
        raise BadData(f"{file}: id {twice!r} stands there twice")
    return Form(name, writer, lines, words)


def _piece(file: Path, element: Element, line: Element, entities: int) -> Piece:
    name, flag, text = element.get("id", ""), line.get("segmentation"), element.get("text")
    if not re.fullmatch(re.escape(file.stem) + r"(?:-[A-Za-z0-9]+)+", name):
        raise BadData(f"{file}: {element.tag} id {name!r} does not begin with {file.stem}-")
    if flag not in FLAGS:
        raise BadData(f"{file}: {line.get('id')}: segmentation is {flag!r}, expected ok or err")
    for _ in range(entities - 1):
        text = text and ESCAPED.sub(lambda entity: html.unescape(entity[0]), text)
    if text and ESCAPED.search(text):
        raise BadData(
            f"{file}: {name}: {text!r} still holds an entity after decoding {entities} times; "
            f"entities={entities + 1} decodes once more"
        )
    return Piece(name, text, flag)
