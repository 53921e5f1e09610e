"""What distillation changed: words that a student reads right and its control wrong, or the other way round.

examples.jsonl of a run folder holds one JSON object per word, those first where the right reading is surer
than the wrong one by most: uid, truth, scored (the truth as it was compared), kind (HELPED or HURT), of (how
many such words there are), png (the canvas, base64), and what `student`, `control` and, where it could
answer, `teacher` read: text, confidence and, of student and teacher, steps: the best class of each time step
with its probability, and the second one if it has more than DOUBT: ["a", 0.62, "o", 0.31].
"""

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.results import checked, finite, whole
from train.runfolder import read_lines

NAME = "examples.jsonl"
FORMAT = 1
HELPED, HURT = "helped", "hurt"
BLANK = ""  # what a step says where it says no character
READERS = ("student", "control", "teacher")
DOUBT = 0.1  # probability above which a second class is noted
LARGEST = 4096  # steps that a page can show


@dataclass(frozen=True, slots=True)
class Step:
    """The best class of a time step and its probability; second: "" and 0 where no other has some."""

    best: str
    share: float
    second: str = BLANK
    rest: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model reads, how sure it is, and its opinion step by step; empty where nobody noted it."""

    text: str
    confidence: float
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A word; readings: of READERS, those that there are."""

    uid: str
    truth: str
    scored: str
    kind: str
    of: int
    png: bytes
    readings: dict[str, Reading]


def read(path: Path) -> tuple[Change, ...]:
    """The words of a file, in its order; none where there is no file."""
    with checked(path, "words that a teacher changed"):
        lines = read_lines(path)
        if path.exists() and len(path.read_bytes().splitlines()) != len(lines):
            raise ValueError(f"line {len(lines) + 1} is damaged")
        return tuple(_change(line) for line in lines)


def _change(found: dict[str, Any]) -> Change:
    if found["kind"] not in (HELPED, HURT):
        raise ValueError(f"kind {found['kind']!r}")
    truth = str(found["truth"])
    return Change(
        str(found["uid"]), truth, str(found.get("scored", truth)), found["kind"], whole(found["of"]),
        base64.b64decode(found["png"], validate=True),
        {name: _reading(found[name]) for name in READERS if name in found},
    )  # fmt: skip


def _reading(found: dict[str, Any]) -> Reading:
    steps = found.get("steps", [])
    if len(steps) > LARGEST:
        raise ValueError(f"{len(steps)} steps")
    return Reading(str(found["text"]), finite(found["confidence"]), tuple(_step(*one) for one in steps))


def _step(best: Any, share: Any, second: Any = BLANK, rest: Any = 0.0) -> Step:
    return Step(str(best), _probability(share), str(second), _probability(rest))


def _probability(value: Any) -> float:
    if not 0 <= finite(value) <= 1:
        raise ValueError(f"{value} where a probability was expected")
    return float(value)
