"""Who taught whom: the roles that runs have for each other, from what their models say of themselves.

A student's config.json holds the digest of its teacher's weights and the name of its control's run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shards.errors import BadData
from train.account import Account
from train.modelfolder import weights_digest

MODELS = ("best", "last")
SHOWN = 12  # characters of a digest


@dataclass(frozen=True, slots=True)
class Taught:
    """A student: what taught it, by which methods, and its control; here: whether that is on the page."""

    student: str
    methods: str
    teachers: str
    control: str
    here: bool


def taught(accounts: Sequence[Account], known: dict[str, str]) -> list[Taught]:
    """The students among the runs. known: see `models`."""
    found = []
    for one in accounts:
        if not (weights := _weights(one)):
            continue
        teachers = [known.get(w) or f"weights {w[:SHOWN]}, not on this page" for w in weights]
        methods = one.model.get("method")
        control = _control(one, accounts)
        found.append(
            Taught(
                one.name, ", ".join(map(str, methods)) if isinstance(methods, dict) else "",
                ", ".join(teachers), control.name if control else str(one.model.get("control", "")),
                control is not None,
            )
        )  # fmt: skip
    return found


def roles(accounts: Sequence[Account], known: dict[str, str]) -> dict[str, str]:
    """Name of a run, or of a model in it (run/model) -> what it is to the others."""
    told: dict[str, list[str]] = {}
    for one in accounts:
        weights = _weights(one)
        if weights:
            told.setdefault(one.name, []).append("student")
        for teacher in (known[w] for w in weights if w in known):
            told.setdefault(teacher, []).append(f"teacher of {one.name}")
        if weights and (control := _control(one, accounts)):
            told.setdefault(control.name, []).append(f"control of {one.name}")
    return {name: ", ".join(found) for name, found in told.items()}


def models(accounts: Sequence[Account]) -> dict[str, str]:
    """Digest of weights -> run/model, of the models of all runs; nothing is hashed where nobody asks."""
    if not any(_weights(one) for one in accounts):
        return {}
    places = [(f"{one.name}/{model}", one.folder / model) for one in accounts for model in MODELS]
    digests = [(_digest(folder), name) for name, folder in places if folder.is_dir()]
    return {digest: name for digest, name in reversed(digests) if digest}


def _digest(folder: Path) -> str:
    try:
        return weights_digest(folder)
    except BadData:  # half a model is nobody's teacher
        return ""


def _control(one: Account, accounts: Sequence[Account]) -> Account | None:
    name = one.model.get("control")
    if not isinstance(name, str) or not name:
        return None
    place = (one.folder.resolve().parent / name).resolve()
    return next((other for other in accounts if other.folder.resolve() == place), None)


def _weights(one: Account) -> list[str]:
    """Digests of a student's teachers; none of other runs."""
    return list(dict.fromkeys(_found(one.model.get("teacher"))))


def _found(story: Any) -> Iterator[str]:
    """Every `weights` in nested objects: an ensemble has several."""
    if isinstance(story, dict):
        if isinstance(story.get("weights"), str):
            yield story["weights"]
        story = list(story.values())
    for inner in story if isinstance(story, list) else ():
        yield from _found(inner)
