"""XML that others wrote, parsed without anything from outside the file, each element with its line.

A document type may be named and is never fetched; one that defines something itself is refused, and so are
entities other than XML's own, which would be left out without a word. The declared encoding counts.
"""

import re
from pathlib import Path
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from shards.errors import BadData
from shards.storage import content

OWN = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9A-Fa-f]+);)[^;\s]{0,30}")


def read(file: Path) -> tuple[Element, dict[Element, int]]:
    """The root element, and on which line (from 1) every element begins; else a BadData with the line."""
    try:
        data = content(file)
    except OSError as error:
        raise BadData(f"{file}: not readable ({error.strerror})") from None

    def refuse(name: str, system: str | None, public: str | None, inside: int) -> None:
        if inside:
            raise BadData(f"{file}: its document type {name} defines entities or elements; none may")

    def start(tag: str, attributes: dict[str, str]) -> None:
        lines[builder.start(tag, attributes)] = parser.CurrentLineNumber

    unknown = OWN.search(data)
    if unknown:
        line = data.count(b"\n", 0, unknown.start()) + 1
        raise BadData(f"{file}:{line}: entity {unknown[0].decode(errors='replace')!r} is none of XML's own")
    builder, parser, lines = TreeBuilder(), expat.ParserCreate(), dict[Element, int]()
    parser.StartElementHandler, parser.EndElementHandler = start, builder.end
    parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = builder.data, refuse
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise BadData(f"{file}:{error.lineno}: not XML ({expat.ErrorString(error.code)})") from None
    except (LookupError, ValueError) as error:  # the encoding that it declares
        raise BadData(f"{file}:1: not XML that can be read ({error})") from None
    return builder.close(), lines
