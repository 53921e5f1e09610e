"""Values for typed fields: text from the command line becomes what the field's type says, or the error says
why not.
"""

import ast
import inspect
import io
import math
import textwrap
import tokenize
import types
import typing
from pathlib import Path
from typing import Any

from shards.errors import BadSettings
from shards.storage import place


class Given(str):
    """Text as typed on the command line, still without a type."""


def hints(schema: Any) -> dict[str, Any]:
    """Field name -> type of a dataclass."""
    return typing.get_type_hints(schema)


def comments(schema: Any) -> dict[str, str]:
    """Field name -> the comment on its definition's lines: the one place where a setting is explained.

    A class that only gives an inherited field another default leaves the comment to its parent.
    """
    found: dict[str, str] = {}
    for owner in reversed(schema.__mro__[:-1]):
        try:
            source = textwrap.dedent(inspect.getsource(owner))
        except (OSError, TypeError):
            continue
        tokens = tokenize.generate_tokens(io.StringIO(source).readline)
        notes = {t.start[0]: t.string.lstrip("# ").strip() for t in tokens if t.type == tokenize.COMMENT}
        for node in getattr(ast.parse(source).body[0], "body", []):
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                if told := " ".join(notes[line] for line in lines if line in notes):
                    found[node.target.id] = told
    return found


def name_of(kind: Any) -> str:
    """A type as people read it."""
    if typing.get_origin(kind) is typing.Literal:
        return "|".join(map(str, typing.get_args(kind)))
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return " or ".join("null" if k is type(None) else name_of(k) for k in typing.get_args(kind))
    if typing.get_origin(kind) in (list, tuple):
        return f"list of {name_of(typing.get_args(kind)[0])}"
    return {Path: "path", str: "text", Any: "name"}.get(kind, getattr(kind, "__name__", str(kind)))


def check_ranges(settings: Any, where: str, **ranges: tuple[float, float]) -> None:
    """A BadSettings names the first field outside its closed range; what is not finite is outside of any."""
    for name, (low, high) in ranges.items():
        value = getattr(settings, name)
        if not (math.isfinite(value) and low <= value <= high):
            wanted = f"between {low} and {high}" if math.isfinite(high) else f"finite and at least {low}"
            raise BadSettings(f"{where}{name}: {value}, must be {wanted}")


def split(text: str) -> list[str]:
    """`a,b` or `[a,b]` as a list of texts; an empty text or `[]` as the empty list."""
    inner = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    return [part.strip() for part in inner.split(",")] if inner.strip() else []


def convert(value: Any, kind: Any, where: str) -> Any:
    """`value` as `kind`; a BadSettings names the key, the value and the type."""
    origin, options = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return str(value) if isinstance(value, Given) else value
    if origin in (typing.Union, types.UnionType):
        if value is None or (isinstance(value, Given) and value == "null" and type(None) in options):
            return None
        return convert(value, next(k for k in options if k is not type(None)), where)
    if origin is typing.Literal:
        return _literal(value, options, where)
    if origin in (list, tuple):
        items = [Given(part) for part in split(value)] if isinstance(value, Given) else value
        if not isinstance(items, list | tuple):
            items = [items]
        return origin(convert(item, options[0], where) for item in items)
    return _scalar(value, kind, where)


def _literal(value: Any, options: tuple, where: str) -> Any:
    for option in options:
        if str(option) == str(value):
            return option
    raise BadSettings(f"{where}: no {str(value)!r} (there are: {', '.join(map(str, options))})")


def _scalar(value: Any, kind: Any, where: str) -> Any:
    if kind is bool and isinstance(value, Given) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    try:
        if kind in (int, float) and isinstance(value, Given):
            return kind(value)
        if kind is Path:
            return place(value)
    except ValueError:
        pass
    if kind is str and isinstance(value, str):
        return str(value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if (
        isinstance(value, kind)
        and not isinstance(value, Given)
        and (kind is not int or not isinstance(value, bool))
    ):
        return value
    raise BadSettings(f"{where}: {value!r} is not {name_of(kind)}")
