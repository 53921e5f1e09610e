"""Markdown of what comes from data: none of it can open a heading, a link, a tag or a cell of a table.

What is escaped are the signs of CommonMark (https://spec.commonmark.org, backslash escapes) and of GitHub's
tables, and its formulas and strikings.
"""

import re
from collections.abc import Iterable, Sequence

SIGNS = re.compile(r"[\\`*_\[\]<>&|#~$]")


def inline(text: object) -> str:
    """A text as it is to be read, on one line."""
    return SIGNS.sub(r"\\\g<0>", _line(text))


def code(text: object) -> str:
    """A text as code, on one line; for no table, whose cells end at any `|`."""
    line = _line(text)
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    return f"{fence}{line}{fence}" if len(fence) == 1 and line else f"{fence} {line} {fence}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table; its cells are Markdown."""
    body = ["| " + " | ".join(row) + " |" for row in rows]
    return ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns), *body]


def _line(text: object) -> str:
    return " ".join(str(text).split())
