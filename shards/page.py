"""The page that `shards.show` and `train.report` make: one HTML file that needs no other and no network.

Text from data is escaped, characters that nobody can see are spelled out, and right-to-left words cannot turn
what stands around them. The colours are the browser's own, light or dark.
"""

import base64
import unicodedata
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from shards.errors import BadSettings
from shards.written import write_bytes

LARGEST = 5_000_000  # bytes of a page
# Controls, formats, unassigned, private use, surrogates, and separators: no glyph, or a blank one.
UNSEEN = {"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp", "Zs"}
DOTTED_CIRCLE = "\u25cc"  # carries a combining mark that stands alone

SKELETON = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
* { box-sizing: border-box }
:root { color-scheme: light dark; --faint: rgb(128 128 128 / .28); --soft: rgb(128 128 128 / .12) }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
body { background: Canvas; color: CanvasText }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.4rem } h3 { font-size: 1rem }
small, .note { color: GrayText; font-size: .87rem } code { background: var(--soft); padding: 0 .25em }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .3rem .9rem .3rem 0; text-align: right; border-bottom: 1px solid var(--faint) }
th { font-weight: 600; vertical-align: bottom } th:first-child, td:first-child { text-align: left }
td.text, th.text { text-align: left }
figure { margin: 0 } figure img { max-width: 100%; border-radius: 3px }
figcaption { font-size: .85rem; line-height: 1.35; overflow-wrap: anywhere }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(27rem, 100%), 1fr)); gap: 1.4rem }
.chart svg { width: 100%; height: auto } .chart text { fill: currentColor; font: 11px system-ui, sans-serif }
.chart .grid { stroke: currentColor; opacity: .15; fill: none }
.chart .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; stroke-linecap: round }
.chart .area { fill-opacity: .1; stroke-width: 1.4 }
.legend { display: flex; flex-wrap: wrap; gap: .1rem 1rem; font-size: .82rem }
.legend span::before { content: ""; display: inline-block; width: .9em; height: .25em; margin-right: .4em;
  vertical-align: middle; background: var(--line) }
.chart .count { fill: currentColor; opacity: .1 }
mark { background: #e0a90066; color: inherit; border-radius: 2px }
.cards { display: flex; flex-wrap: wrap; gap: .9rem; align-items: flex-end }
.unseen { font: .85em ui-monospace, monospace; background: #e0a90044; border-radius: 3px; padding: 0 .15em }
bdi { white-space: pre-wrap }
{{ style }}
</style></head><body>
<h1>{{ title }}</h1>
{% block body %}{% endblock %}
</body></html>
"""


def render(body: str, title: str, style: str = "", **values: Any) -> str:
    """The page around a jinja2 template; `visible` and `table` can be called in it, text is escaped."""
    from jinja2 import DictLoader, Environment, StrictUndefined

    loader = DictLoader({"skeleton": SKELETON})
    environment = Environment(autoescape=True, loader=loader, undefined=StrictUndefined, trim_blocks=True)
    environment.globals.update(visible=visible, table=table)
    whole = "{% extends 'skeleton' %}{% block body %}" + body + "{% endblock %}"
    text = environment.from_string(whole).render(title=title, style=Markup(style), **values)
    return text.encode(errors="replace").decode()  # JSON can hold halves of characters, a file cannot


def fitted(draw: Callable[[int], str], most: int) -> str:
    """The page with as many pictures as LARGEST allows: draw(most), or with half as many, and so on."""
    while True:
        text = draw(most)
        if len(text.encode()) <= LARGEST or not most:
            return text
        most //= 2


def save(path: Path, text: str) -> None:
    """Writes a page; BadSettings where that cannot be, since data may lie where nobody may write."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(path, text.encode())
    except OSError as error:
        raise BadSettings(f"{path}: {error.strerror}; out= puts the page elsewhere") from None


def data_uri(data: bytes, kind: str) -> Markup:
    """Bytes as the value of a src attribute. kind: jpeg or png."""
    return Markup(f"data:image/{kind};base64,{base64.b64encode(data).decode()}")


def visible(text: str, marked: Container[int] = ()) -> Markup:
    """The text, isolated from the direction of its surroundings; what has no glyph as its code point.

    marked: places of the characters that stand out.
    """
    parts = [
        Markup('<span class="unseen" title="{}">{}</span>').format(name, piece) if name else escape(piece)
        for piece, name in _pieces(text)
    ]
    runs = groupby(enumerate(parts), lambda part: part[0] in marked)
    joined = [(out, Markup().join(piece for _, piece in run)) for out, run in runs]
    inside = [Markup("<mark>{}</mark>").format(pieces) if out else pieces for out, pieces in joined]
    return Markup('<bdi dir="auto">{}</bdi>').format(Markup().join(inside))


def spelled(text: str) -> str:
    """The same without markup, for titles and drawings."""
    return "".join(piece for piece, _ in _pieces(text))


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """(piece, name of the character where it is spelled out) of a text; a space is at either end only."""
    inner = range(len(text) - len(text.lstrip(" ")), len(text.rstrip(" ")))
    for place, character in enumerate(text):
        kind = unicodedata.category(character)
        if kind in UNSEEN and not (character == " " and place in inner):
            yield _code(character), unicodedata.name(character, "no name")
        else:
            yield (DOTTED_CIRCLE if not place and kind.startswith("M") else "") + character, ""


def _code(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Markup:
    """An HTML table; columns of numbers stand to the right, others to the left."""
    numeric = [
        bool(rows) and all(isinstance(row[at], int | float) for row in rows) for at in range(len(columns))
    ]
    head = Markup().join(_cell("th", name, right) for name, right in zip(columns, numeric, strict=True))
    body = Markup().join(
        Markup("<tr>{}</tr>").format(
            Markup().join(_cell("td", value, right) for value, right in zip(row, numeric, strict=True))
        )
        for row in rows
    )
    return Markup('<div class="wide"><table><tr>{}</tr>{}</table></div>').format(head, body)


def _cell(tag: str, value: Any, right: bool) -> Markup:
    shown = f"{value:,}" if isinstance(value, int) else f"{value:,.4g}" if isinstance(value, float) else value
    return Markup("<{0}{1}>{2}</{0}>").format(tag, Markup("" if right else ' class="text"'), shown)
