"""What a model folder keeps of its evaluations, for its card to tell: figures, verdict, failures.

`config.json` has them under `evaluated`, by the name of the set. What training measured (`metrics`,
`measured`) and what a folder says of real words (`real`) are read as the same kind of thing.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from train.headings import END_TO_END, SCENES, WORDS, Heading
from train.verdicts import short

HEADINGS = {heading.name: heading for heading in (*WORDS, *SCENES, *END_TO_END)}  # times are a machine's
LEAST = 5  # words of a group that is told as weak: the share of fewer tells little
WEAK, CONFUSED = 3, 8  # groups of one way, and pairs of characters, that are told
COMPARED = ("verdict", "difference", "low", "high", "field", "unlike")


@dataclass(frozen=True, slots=True)
class Figure:
    """A fraction and its 95 % interval, None where none was worked out."""

    heading: Heading
    value: float
    low: float | None = None
    high: float | None = None

    @property
    def shown(self) -> str:
        """As people read it."""
        if self.low is None or self.high is None:
            return self.heading.shown(self.value)
        return f"{self.heading.shown(self.value)} {self.heading.between(self.low, self.high)}"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """How good a model is on one set; weak: way -> [group, n, right]; confusions [truth, read, count];
    recogniser: name and weights of what read the words that a detector found, if any did.
    """

    set: str
    split: str
    n: int
    protocol: str
    figures: tuple[Figure, ...]
    data: str = ""
    verdict: dict[str, Any] = field(default_factory=dict)
    weak: dict[str, list[Any]] = field(default_factory=dict)
    confusions: list[Any] = field(default_factory=list)
    recogniser: dict[str, str] = field(default_factory=dict)


def kept(found: dict[str, Any], mistakes: dict[str, Any], split: str, protocol: str) -> dict[str, Any]:
    """Of what `train.evaluation` found of a model, the part that is true on every day and machine.

    found: figures, verdict, set, data, and the recogniser of a detector; mistakes: see `train.mistakes`.
    """
    ways = {way: [[name, one["n"], one["right"]] for name, one in groups.items()]
            for way, groups in found.get("by", {}).items()}  # fmt: skip
    ways["length"] = [[str(length), n, right] for length, n, right in mistakes["lengths"]]
    verdict = {key: found[key] for key in COMPARED if key in found}
    return {
        "split": split, "protocol": protocol, "data": found["data"], "n": found["n"],
        "recogniser": found.get("recogniser", {}),
        "figures": {name: found[name] for name in HEADINGS if isinstance(found.get(name), dict)},
        "verdict": {**verdict, "against": short(found["against"]) if found["against"] else ""},
        "weak": {way: rows for way, groups in sorted(ways.items()) if (rows := weakest(groups))},
        "confusions": [list(one) for one in mistakes["confusions"] if one[0] != one[1]][:CONFUSED],
    }  # fmt: skip


def weakest(groups: list[list[Any]]) -> list[list[Any]]:
    """The groups [name, n, right] that are read worse than all of them together, the worst first."""
    total, hits = sum(one[1] for one in groups), sum(one[2] for one in groups)
    below = [one for one in groups if one[1] >= LEAST and one[2] * total < hits * one[1]]
    return sorted(below, key=lambda one: (one[2] / one[1], one[0]))[:WEAK]


def read(config: dict[str, Any]) -> list[Evaluated]:
    """All that a config.json tells of how good its model is: sets evaluated, real words, then validation."""
    found = [
        Evaluated(
            name, one["split"], one["n"], one["protocol"], _figures(one["figures"]), one["data"],
            one["verdict"], one["weak"], one["confusions"], one.get("recogniser", {}),
        )
        for name, one in sorted(config.get("evaluated", {}).items())
    ]  # fmt: skip
    for name, one in sorted(config.get("real", {}).items()):
        share = {"value": one["right"] / one["n"], "low": one["interval"][0], "high": one["interval"][1]}
        found.append(Evaluated(name, "test", one["n"], "36", _figures({"word_acc_ics": share})))
    metrics = config.get("metrics", {})
    if figures := _figures({name: {"value": value} for name, value in metrics.items()}):
        measured, n = config.get("measured", {}), int(metrics.get("n", 0))
        split = str(measured.get("split", "val"))
        known = sets(config.get("data", {})) if measured else ["not recorded which"]
        names = _names(measured.get("sets", {}), split) or known
        name, data = f"{'+'.join(names)} ({split})", measured.get("digest", "")
        found.append(Evaluated(name, split, n, "native", figures, data))
    return found


def sets(data: dict[str, Any]) -> list[str]:
    """The names of data sets that a config.json tells of."""
    splits = [one.get("split", "") if isinstance(one, dict) else "" for one in data.values()]
    return _names(data, *splits)


def _names(keys: Iterable[str], *splits: str) -> list[str]:
    """Of `Manifest.key`s: a key is a name, the split and an identity."""
    ending = re.compile(rf"-({'|'.join(map(re.escape, splits))})-[0-9a-f]{{6}}$")
    return list(dict.fromkeys(ending.sub("", key) for key in keys))


def _figures(found: dict[str, dict[str, float]]) -> tuple[Figure, ...]:
    return tuple(
        Figure(heading, one["value"], one.get("low"), one.get("high"))
        for name, heading in HEADINGS.items()
        if (one := found.get(name)) is not None
    )
