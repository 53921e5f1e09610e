"""Settings that nobody chose come from the teacher: the image spec, the augmentation, the task."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from shards import lookup
from shards.config import Choice

T = TypeVar("T")
USUAL = "recognise"  # the task where nobody chooses one


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


def inherit_task(chosen: Choice, told: dict[str, Any], argv: Sequence[str]) -> Choice:
    """The task of a card or model, {"name", "settings"}, where nobody chose another: whole or not at all,
    since its fields stand for each other (a charset's name and its characters).
    """
    given = any(argument.partition("=")[0].split(".")[0] == "task" for argument in argv)
    untouched = chosen.settings == lookup.find("train.tasks", chosen.name).Settings()
    if given or not untouched or chosen.name not in (told["name"], USUAL):
        return chosen
    return Choice(told["name"], lookup.find("train.tasks", told["name"]).Settings(**told["settings"]))


def came_from_elsewhere(config: dict[str, Any]) -> bool:
    """Whether a model folder only answers (an ONNX file): its canvas and charset are then no student's."""
    return not getattr(lookup.find("train.models", config["model"]["name"]).Model, "trains", True)
