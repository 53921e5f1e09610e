"""Settings that nobody chose come from the teacher: the image spec, the augmentation, the task."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TypeVar

T = TypeVar("T")


def inherit(mine: T, theirs: T, prefix: str, argv: Sequence[str]) -> T:
    """`mine` with every field at its default, and not given on the command line, taken from `theirs`.

    A preset or key that was given stays, so that a difference can be refused instead of overruled.
    """
    given = {argument.partition("=")[0] for argument in argv}
    if prefix in given:
        return mine
    default = type(mine)()
    taken = {
        f.name: getattr(theirs, f.name)
        for f in fields(mine)  # type: ignore[arg-type]
        if f"{prefix}.{f.name}" not in given and getattr(mine, f.name) == getattr(default, f.name)
    }
    return replace(mine, **taken)  # type: ignore[type-var]
