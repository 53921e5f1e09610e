"""What a run folder tells: all that a page about it needs, read from its files and checked.

A file that is damaged, or not what its name says, is a BadData that names it; what older versions did not
write is empty.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from shards.errors import BadData
from shards.written import read_json
from train import changes
from train.changes import Change
from train.results import Mistakes, Result, checked, mistakes_of, result_of, whole
from train.runfolder import MISTAKES, read_config, read_lines


@dataclass(frozen=True, slots=True)
class Account:
    """A run: how it stands (status.json), its settings by dotted keys and as they were written, the lines of
    metrics.jsonl and what is wrong with them, its evaluations, what it got wrong while training and at which
    step, damaged samples (uid -> reason), what its best model says of itself, and the words that its teacher
    changed.
    """

    name: str
    folder: Path
    status: dict[str, Any]
    settings: dict[str, Any]
    text: str
    lines: list[dict[str, Any]]
    warning: str
    results: tuple[Result, ...]
    step: int
    mistakes: Mistakes | None
    damage: dict[str, str]
    model: dict[str, Any]
    changes: tuple[Change, ...] = ()

    def newest(self, prefix: str) -> dict[str, Any]:
        """The last line of metrics.jsonl with a key of this prefix; empty where there is none."""
        return next((line for line in reversed(self.lines) if _has(line, prefix)), {})


def number(found: dict[str, Any], key: str) -> float | None:
    """A value of what was read, if it is a finite number."""
    value = found.get(key)
    return value if isinstance(value, int | float) and math.isfinite(value) else None


def read(folders: Sequence[Path]) -> list[Account]:
    """The accounts of run folders, each once, in order."""
    once = list({folder.resolve(): folder for folder in reversed(folders)}.values())[::-1]
    alike = len({folder.resolve().name for folder in once}) < len(once)
    return [_account(folder, str(folder) if alike else folder.resolve().name) for folder in once]


def _account(folder: Path, name: str) -> Account:
    status = folder / "status.json"
    if not status.exists():
        raise BadData(f"{folder}: no status.json, so not a run folder{_instead(folder)}")
    settings, text = _settings(folder)
    lines, warning = _lines(folder / "metrics.jsonl")
    found = read_json(folder / MISTAKES) if (folder / MISTAKES).exists() else None
    with checked(folder / MISTAKES, "what a training got wrong"):
        mistakes = mistakes_of(found) if found else None
        step = whole(found["global_step"]) if found else 0
    best = folder / "best" / "config.json"
    return Account(
        name, folder, read_json(status), settings, text, lines, warning,
        tuple(result_of(path, name) for path in sorted((folder / "eval").glob("*.json"))),
        step, mistakes, _damage(folder / "damaged.jsonl"), read_json(best) if best.exists() else {},
        changes.read(folder / changes.NAME),
    )  # fmt: skip


def _instead(folder: Path) -> str:
    """What the user may have meant."""
    if not folder.is_dir():
        return ": there is no such folder"
    if (folder.parent / "status.json").exists():
        return f"; {folder.parent} is one"
    inside = sorted(path.parent.name for path in folder.glob("*/status.json"))
    return f"; runs in it: {', '.join(inside)}" if inside else ""


def _settings(folder: Path) -> tuple[dict[str, Any], str]:
    path = folder / "config.yaml"
    if not path.exists():
        return {}, ""
    try:
        settings = read_config(folder)
        if "" in settings:
            raise ValueError("no settings by name")
        return settings, path.read_text(encoding="utf-8")
    except (OmegaConfBaseException, YAMLError, ValueError, OSError) as error:
        raise BadData(f"{path}: not readable as settings ({error})") from None


def _lines(path: Path) -> tuple[list[dict[str, Any]], str]:
    """The lines of metrics.jsonl, and a warning where some could not be read; a last one may be cut."""
    ended = path.read_bytes().count(b"\n") if path.exists() else 0
    lines = read_lines(path)
    for place, line in enumerate(lines, start=1):
        if not isinstance(line, dict) or not isinstance(line.get("global_step"), int):
            raise BadData(f"{path}, line {place}: no line of a run's metrics (no global_step)")
    left = ended - len(lines)
    return lines, f"{path}: line {len(lines) + 1} is damaged, {left} lines are left out" if left > 0 else ""


def _damage(path: Path) -> dict[str, str]:
    with checked(path, "a list of damaged samples"):
        return {str(u): str(why) for line in read_lines(path) for u, why in line["samples"].items()}


def _has(line: dict[str, Any], prefix: str) -> bool:
    return any(key.startswith(prefix) for key in line)
