"""Trials: one setting with one seed, the name it goes by, and what is known of it on disk.

    <out>/runs/<name>/                 the run folder that the entry writes
    <out>/trials/<name>/trial.json     what is tried and how it ended
                        log            what its processes printed
                        evaluation.json, words.json   with evaluate=: figures, and the words read right
    <out>/proposals.jsonl              the points that were proposed, so that a strategy never repeats itself

A trial is told from others by what its entry is given, in any order; where it stands and how it is judged is
no part of that. So a search with more axes or other sets takes up what is done.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from shards.errors import BadData
from shards.written import digest, read_json, write_json

FORMAT = 1
LONGEST = 60  # characters of a name, without seed and digest
DONE, RUNNING, FAILED, PREEMPTED = "done", "running", "failed", "preempted"


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting with one seed, and what came of it.

    arguments: all that the entry is given but run.name, run.root and control; values: those of the axes.
    metrics: the best model's on the run's own validation samples; evaluation: `of` which sets (a digest), and
    its metrics there as {"value", "low", "high"}; {} while there is none.
    """

    name: str
    entry: str
    arguments: dict[str, str]
    values: dict[str, str]
    seed: str = ""
    control: str = ""
    state: str = ""
    code: int | None = None
    reason: str = ""
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    evaluation: dict[str, Any] = field(default_factory=dict)
    samples: int | None = None  # that it was trained on; None: not known
    format: int = FORMAT

    @property
    def identity(self) -> str:
        """The same for the same entry and arguments."""
        return identity(self.entry, self.arguments)

    def score(self, metric: str, sets: str = "") -> float | None:
        """The metric on the validation samples or, if `sets` are named, on those; None if it is not known."""
        if self.state != DONE:
            return None
        if not sets:
            return self.metrics.get(metric)
        found = self.evaluation.get("metrics", {}) if self.evaluation.get("of") == sets else {}
        return found[metric]["value"] if metric in found else None


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of a search."""

    path: Path

    @property
    def runs(self) -> Path:
        """Where run folders stand."""
        return self.path / "runs"

    def of(self, trial: Trial) -> Path:
        """A trial's own folder."""
        return self.path / "trials" / trial.name

    @property
    def proposals(self) -> Path:
        """The points that were proposed, one to a line."""
        return self.path / "proposals.jsonl"

    def log(self, trial: Trial) -> Path:
        """Where a trial's processes print."""
        return self.of(trial) / "log"

    def best(self, trial: Trial) -> Path:
        """A trial's best model."""
        return self.runs / trial.name / "best"

    def save(self, trial: Trial) -> Trial:
        """Writes trial.json."""
        self.of(trial).mkdir(parents=True, exist_ok=True)
        write_json(self.of(trial) / "trial.json", asdict(trial))
        return trial

    def load(self) -> list[Trial]:
        """Every trial that was begun here."""
        return [_trial(path) for path in sorted((self.path / "trials").glob("*/trial.json"))]


class Roster:
    """The trials of a folder by identity, and the names that are taken."""

    def __init__(self, known: list[Trial]) -> None:
        self.trials = {trial.identity: trial for trial in known}
        self._names = {trial.name: trial.identity for trial in known}

    def enter(self, trial: Trial) -> Trial:
        """The trial as it is known, else as it is given, under a name of its own.

        A name is made of values; where others of the same name exist, the identity makes the difference.
        """
        if known := self.trials.get(trial.identity):
            # as they are told now: what is a value may have been the same for all before; JSON keeps no order
            found = replace(known, arguments=trial.arguments, values=trial.values, seed=trial.seed)
        else:
            found = replace(trial, name=self.name_of(trial))
        self.trials[trial.identity] = found
        return found

    def update(self, trial: Trial) -> None:
        """Puts what is known now in the place of what was."""
        self.trials[trial.identity] = trial

    def name_of(self, trial: Trial) -> str:
        """The name that is the trial's alone, from now on."""
        if known := self.trials.get(trial.identity):
            return known.name
        taken = self._names.setdefault(trial.name, trial.identity) != trial.identity
        return f"{trial.name}-{trial.identity[:6]}" if taken else trial.name


def identity(entry: str, arguments: Mapping[str, str]) -> str:
    """A digest of what a trial runs."""
    return digest([entry, sorted(arguments.items())])


def label(values: Mapping[str, str]) -> str:
    """A setting in a few words: names stand for themselves, other values behind their key."""
    return " ".join(_word(key, text) for key, text in values.items()) or "as given"


def name(values: Mapping[str, str], seed: str = "") -> str:
    """A file name that says what a trial is: `crnn_nano-logits-lr1e-3-s0`. `Roster` keeps names apart."""
    plain = "-".join(_safe(_word(key, text, "")) for key, text in values.items()).strip("-.") or "trial"
    if len(plain) > LONGEST:
        plain = f"{plain[:LONGEST].rstrip('-.')}-{digest(dict(values))[:6]}"
    return f"{plain}-s{_safe(seed)}" if seed else plain


def _word(key: str, text: str, between: str = " ") -> str:
    telling = re.match(r"\[?[A-Za-z_]", text) and text not in ("true", "false", "null")
    short = key.rsplit(".", 1)[-1]
    return text if telling and "." not in key else f"{short}{between}{text}"


def _safe(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", text.strip("[]").replace(",", "+")).strip("-")


def _trial(path: Path) -> Trial:
    found = read_json(path)
    if found.get("format") != FORMAT:
        raise BadData(f"{path}: format is {found.get('format')}, this version reads {FORMAT}")
    try:
        return Trial(**found)
    except TypeError as error:
        raise BadData(f"{path}: {error}; delete it to try anew") from None
