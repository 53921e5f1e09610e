"""Fonts to render with: a folder's, the system's, or matplotlib's. Only text fonts count."""

import hashlib
import importlib.util
import string
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from PIL import ImageFont, features

from shards.errors import BadData, BadSettings

SUFFIXES = (".ttf", ".otf", ".ttc")
SYSTEM = ("/usr/share/fonts", "/usr/local/share/fonts", "~/.local/share/fonts", "~/.fonts", "/Library/Fonts",
          "/System/Library/Fonts", "~/Library/Fonts", "C:/Windows/Fonts")  # fmt: skip
ALPHABET = string.ascii_letters + string.digits
MANY_TO_ONE = 13  # the cmap format of "last resort" fonts, which draw a box for everything


@dataclass(frozen=True, slots=True)
class Face:
    """A font file: its name, the sha256 of its bytes, and the code points it has glyphs for."""

    path: Path
    name: str
    sha256: str
    covers: frozenset[int]

    def spells(self, text: str) -> bool:
        """Whether every character has a glyph."""
        return self.covers.issuperset(map(ord, text))


def faces(where: str) -> list[Face]:
    """The text fonts of `matplotlib`, `system` or a folder, in an order that no folder changes."""
    found: dict[str, Face] = {}
    files = [path for folder in _folders(where) for path in folder.rglob("*")]
    for path in sorted(path for path in files if path.suffix.lower() in SUFFIXES):
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        covers = _coverage(path, sha256)
        if covers:
            found.setdefault(sha256, Face(path, path.stem, sha256, covers))
    if not found:
        raise BadData(f"fonts={where}: no font there has all of {ALPHABET}")
    return sorted(found.values(), key=lambda face: (face.name, face.sha256))


def _folders(where: str) -> list[Path]:
    if where == "system":
        return [folder for name in SYSTEM if (folder := Path(name).expanduser()).is_dir()]
    if where == "matplotlib":
        spec = importlib.util.find_spec("matplotlib")  # found without being imported, which takes long
        if spec is None or not spec.submodule_search_locations:
            raise BadSettings("fonts=matplotlib: pip install matplotlib, or give fonts=FOLDER or system")
        return [Path(spec.submodule_search_locations[0]) / "mpl-data/fonts/ttf"]
    if not Path(where).is_dir():
        raise BadData(f"fonts={where}: no such folder (a folder, or: matplotlib, system)")
    return [Path(where)]


@lru_cache(maxsize=4096)
def _coverage(path: Path, _sha256: str) -> frozenset[int]:
    """Code points of a text font; none for symbol fonts, which draw other things at the places of letters."""
    from fontTools.agl import toUnicode
    from fontTools.ttLib import TTFont, TTLibError

    try:
        with TTFont(path, lazy=True, fontNumber=0) as font:
            if any(table.format == MANY_TO_ONE for table in font["cmap"].tables):
                return frozenset()
            glyphs = font.getBestCmap() or {}
    except (TTLibError, KeyError, OSError, ValueError, AssertionError):
        return frozenset()
    # A glyph's name, where it means a character, must mean the one it draws: Symbol's `a` is named alpha.
    names = [glyphs.get(ord(c), "space") for c in ALPHABET]
    if any(toUnicode(name) not in ("", c) for name, c in zip(names, ALPHABET, strict=True)):
        return frozenset()
    return frozenset(glyphs)


@lru_cache(maxsize=2048)
def sized(path: Path, pixels: int, shaped: bool) -> ImageFont.FreeTypeFont:
    """The font in one size, opened once per process. shaped: letters change with their neighbours."""
    shaping = shaped and features.check("raqm")
    layout = ImageFont.Layout.RAQM if shaping else ImageFont.Layout.BASIC
    return ImageFont.truetype(path, pixels, layout_engine=layout)
