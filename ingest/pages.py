"""Pages as PAGE XML describes them, one file to a page: its image and its lines of text.

<PcGts xmlns="http://schema.primaresearch.org/PAGE/gts/pagecontent/2019-07-15">
 <Page imageFilename="0001.jpg" imageWidth="1200" imageHeight="1800">
  <TextRegion id="r1">
   <TextLine id="l1" primaryScript="Latn - Latin">
    <Coords points="20,30 400,32 400,60 20,58"/>
    <TextEquiv index="0"><Unicode>In the beginning</Unicode></TextEquiv> ...

The versions of 2013 to 2019 are read; they write outlines alike. Of several texts of a line the one with the
lowest index counts, and the first of those. Words and glyphs inside a line are not read.
"""

import re
from pathlib import Path
from xml.etree.ElementTree import Element

from ingest import markup
from ingest.annotated import Photo, Piece
from ingest.listing import relative
from shards import geometry
from shards.errors import BadData
from shards.sample import Point, Word

NAMESPACE = re.compile(r"http://schema\.primaresearch\.org/PAGE/gts/pagecontent/201[3-9]-07-15")
POINTS = re.compile(r"-?[0-9]{1,6},-?[0-9]{1,6}(?: -?[0-9]{1,6},-?[0-9]{1,6})+", re.ASCII)
SIZE = re.compile(r"[1-9][0-9]{0,6}", re.ASCII)


def read(file: Path, listing: str) -> Photo:
    """The page of a file, lines without a text included; else a BadData with the file and the line."""
    root, lines = markup.read(file)
    spaces = [value for key, value in root.attrib.items() if key.partition(":")[0] == "xmlns"]
    if _kind(root) != "PcGts" or not any(map(NAMESPACE.fullmatch, spaces)):
        raise BadData(f"{file}:{lines[root]}: expected PcGts of PAGE 2013 to 2019, found {root.tag} {spaces}")
    pages = [element for element in root if _kind(element) == "Page"]
    if len(pages) != 1:
        raise BadData(f"{file}: expected one Page, found {len(pages)}")
    page, where = pages[0], f"{file}:{lines[pages[0]]}"
    name, sizes = page.get("imageFilename"), [page.get(f"image{side}", "") for side in ("Width", "Height")]
    if not name or not all(map(SIZE.fullmatch, sizes)):
        raise BadData(f"{where}: expected imageFilename, imageWidth and imageHeight, found {page.attrib}")
    found = [element for element in page.iter() if _kind(element) == "TextLine"]
    pieces = tuple(_piece(element, f"{file}:{lines[element]}") for element in found)
    ids = [piece.place for piece in pieces]
    twice = next((place for place, one in enumerate(ids) if one in ids[:place]), None)
    if twice is not None:
        raise BadData(f"{file}:{lines[found[twice]]}: id {ids[twice]!r} stands there already")
    return Photo(relative(name, where), listing, pieces, (int(sizes[0]), int(sizes[1])))


def _kind(element: Element) -> str:
    """The name of an element without the prefix of its namespace."""
    return element.tag.rpartition(":")[2]


def _piece(line: Element, where: str) -> Piece:
    name = line.get("id")
    outlines = [element for element in line if _kind(element) == "Coords"]
    if not name or len(outlines) != 1:
        raise BadData(f"{where}: expected a TextLine with an id and one Coords, found {line.attrib}")
    points = outlines[0].get("points", "")
    if not POINTS.fullmatch(points.strip()):
        raise BadData(f"{where}: points of line {name} are {points!r:.200}, expected x,y x,y ...")
    corners = [(float(x), float(y)) for x, y in (pair.split(",") for pair in points.split())]
    return Piece(Word(_text(line, where), _outline(corners)), name, line.get("primaryScript"))


def _outline(corners: list[Point]) -> tuple[Point, ...]:
    """The points, or the box around them where they are too few for an outline."""
    if len(corners) > 3:
        return tuple(corners)
    left, top, right, bottom = geometry.box(corners)
    return (left, top), (right, top), (right, bottom), (left, bottom)


def _text(line: Element, where: str) -> str | None:
    texts: dict[int, str | None] = {}
    for said in (element for element in line if _kind(element) == "TextEquiv"):
        index = said.get("index", "0")
        plain = [element for element in said if _kind(element) == "Unicode"]
        if not index.isdecimal() or len(plain) != 1 or len(plain[0]):
            raise BadData(f"{where}: expected a TextEquiv with one Unicode text and, if any, a whole index")
        texts.setdefault(int(index), plain[0].text)
    return (texts[min(texts)] or None) if texts else None
