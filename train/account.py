"""What a run folder tells: all that a page about it needs, read from its files and checked.

A file that is damaged, or not what its name says, is a BadData that names it; what older versions did not
write is empty.
"""

import base64
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from shards.errors import BadData
from shards.manifest import read_json
from train.runfolder import MISTAKES, read_config, read_lines
from train.verdicts import told, words_of

FIGURES = ("word_acc", "one_minus_ned", "cer")  # that every evaluation has
LARGEST = 1e15  # of any figure: more is no result
LATER = ("word_acc_ics",)  # and those that may be missing


@dataclass(frozen=True, slots=True)
class Figure:
    """A fraction and its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Example:
    """A mistake; scored: the truth as it was compared; png: what the model saw."""

    uid: str
    truth: str
    scored: str
    prediction: str
    score: float
    png: bytes


@dataclass(frozen=True, slots=True)
class Mistakes:
    """See train.mistakes. confusions (truth, read, count); lengths (characters, words, right); sources
    name -> (words, right). None where the file does not say.
    """

    examples: tuple[Example, ...]
    confusions: tuple[tuple[str, str, int], ...] | None
    lengths: tuple[tuple[int, int, int], ...] | None
    sources: dict[str, tuple[int, int]] | None


@dataclass(frozen=True, slots=True)
class Result:
    """An evaluation of one of a run's models on one set; verdict and, where it is not judged, the reason: in
    words.
    """

    run: str
    model: str
    checkpoint: str
    set: str
    data: str
    n: int
    params: int
    mb: float
    ms_per_word: float | None
    figures: dict[str, Figure]
    damaged: int
    damage: dict[str, str]
    verdict: str
    reason: str
    mistakes: Mistakes

    @property
    def name(self) -> str:
        """The run and the model in it."""
        return f"{self.run}/{self.model}"


@dataclass(frozen=True, slots=True)
class Account:
    """A run: how it stands (status.json), its settings by dotted keys and as they were written, the lines of
    metrics.jsonl and what is wrong with them, its evaluations, what it got wrong while training and at which
    step, damaged samples (uid -> reason), and what its best model says of itself.
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
    with _checked(folder / MISTAKES, "what a training got wrong"):
        mistakes = _mistakes(found) if found else None
        step = _whole(found["global_step"]) if found else 0
    best = folder / "best" / "config.json"
    return Account(
        name, folder, read_json(status), settings, text, lines, warning,
        tuple(_result(path, name) for path in sorted((folder / "eval").glob("*.json"))),
        step, mistakes, _damage(folder / "damaged.jsonl"), read_json(best) if best.exists() else {},
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
    with _checked(path, "a list of damaged samples"):
        return {str(u): str(why) for line in read_lines(path) for u, why in line["samples"].items()}


def _result(path: Path, run: str) -> Result:
    found = read_json(path)
    with _checked(path, "an evaluation; run train.evaluation again"):
        figures = {key: _figure(found[key]) for key in (*FIGURES, *(k for k in LATER if k in found))}
        verdict, speed = {"against": "", **found}, found.get("ms_per_word")
        checkpoint = str(found.get("checkpoint", ""))
        return Result(
            run, str(found["model"]), checkpoint, str(found["set"]),
            str(found.get("data", "")), _whole(found["n"]), _whole(found["params"]), _finite(found["mb"]),
            None if speed is None else _finite(speed), figures, _whole(found.get("damaged", 0)),
            {str(uid): str(why) for uid, why in found.get("damage", {}).items()},
            told(verdict), words_of(checkpoint, verdict), _mistakes(found),
        )  # fmt: skip


def _figure(found: dict[str, float]) -> Figure:
    return Figure(*(_finite(found[key]) for key in ("value", "low", "high")))


def _finite(value: Any) -> float:
    if not abs(float(value)) < LARGEST:
        raise ValueError(f"{value} where a number was expected")
    return float(value)


def _whole(value: Any) -> int:
    if not 0 <= int(value) < LARGEST:
        raise ValueError(f"{value} where a count was expected")
    return int(value)


def _counted(n: Any, right: Any) -> tuple[int, int]:
    if not 0 <= _whole(right) <= _whole(n):
        raise ValueError(f"{right} of {n} words read right")
    return int(n), int(right)


def _mistakes(found: dict[str, Any]) -> Mistakes:
    triples, sources = ("confusions", "lengths"), found.get("by_source")
    confusions, lengths = (found.get(key) for key in triples)
    return Mistakes(
        tuple(_example(one) for one in found["examples"]),
        None if confusions is None else tuple((str(t), str(p), _whole(n)) for t, p, n in confusions),
        None if lengths is None else tuple((_whole(k), *_counted(*of)) for k, *of in lengths),
        None if sources is None else {str(k): _counted(v["n"], v["right"]) for k, v in sources.items()},
    )


def _example(found: dict[str, Any]) -> Example:
    truth = str(found["truth"])
    return Example(
        str(found.get("uid", "")), truth, str(found.get("scored", truth)), str(found["prediction"]),
        _finite(found["score"]), base64.b64decode(found["png"], validate=True),
    )  # fmt: skip


@contextmanager
def _checked(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BadData(f"{path}: not {what} ({said})") from None


def _has(line: dict[str, Any], prefix: str) -> bool:
    return any(key.startswith(prefix) for key in line)
