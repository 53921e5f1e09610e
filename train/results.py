"""An evaluation, and what a model got wrong, as their files tell it: read, and checked value by value."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shards.errors import BadData
from shards.written import read_json
from train import fidelity
from train.headings import WORDS, Heading
from train.verdicts import short, told, words_of

LARGEST = 1e15  # of any figure: more is no result


@dataclass(frozen=True, slots=True)
class Figure:
    """A fraction and its 95 % interval, None where none was worked out."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def between(self) -> tuple[float, float, float]:
        """The value and its bounds, itself where it has none."""
        low, high = (self.value if bound is None else bound for bound in (self.low, self.high))
        return self.value, low, high


@dataclass(frozen=True, slots=True)
class Example:
    """A mistake; scored: the truth as it was compared; png: what the model saw; rectified: what its spatial
    transformer made of that, empty where it has none; jpeg: instead of a png, a picture, its words marked.
    """

    uid: str
    truth: str
    scored: str
    prediction: str
    score: float
    png: bytes
    rectified: bytes
    jpeg: bytes


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
class Fidelity:
    """How close a model comes to a teacher (run/model); why: in words, where that cannot be said."""

    teacher: str
    figures: dict[str, Figure]
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """An evaluation of one of a run's models on one set; verdict and, where it is not judged, the reason: in
    words. headings: of its figures, the first of which every evaluation has.
    """

    run: str
    model: str
    checkpoint: str
    set: str
    data: str
    n: int
    params: int
    mb: float
    ms_per_image: float | None
    headings: tuple[Heading, ...]
    figures: dict[str, Figure]
    damaged: int
    damage: dict[str, str]
    verdict: str
    reason: str
    mistakes: Mistakes
    fidelity: Fidelity | None
    curve: dict[str, list[float]] | None = None  # over thresholds, of what finds words

    @property
    def name(self) -> str:
        """The run and the model in it."""
        return f"{self.run}/{self.model}"


@contextmanager
def checked(path: Path, what: str) -> Iterator[None]:
    """Makes a BadData that names the file of what goes wrong where its content is taken apart."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        said = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BadData(f"{path}: not {what} ({said})") from None


def result_of(path: Path, run: str) -> Result:
    """The evaluation in a file of eval/."""
    found = read_json(path)
    with checked(path, "an evaluation; run train.evaluation again"):
        headings = tuple(Heading(**one) for one in found.get("headings", ())) or WORDS
        names = [headings[0].name, *(h.name for h in headings[1:] if h.name in found)]
        figures = {name: _figure(found[name]) for name in names}
        verdict, speed = {"against": "", **found}, found.get("ms_per_image")
        checkpoint = str(found.get("checkpoint", ""))
        return Result(
            run, str(found["model"]), checkpoint, str(found["set"]),
            str(found.get("data", "")), whole(found["n"]), whole(found["params"]), finite(found["mb"]),
            None if speed is None else finite(speed), headings, figures, whole(found.get("damaged", 0)),
            {str(uid): str(why) for uid, why in found.get("damage", {}).items()},
            told(verdict), words_of(checkpoint, verdict), mistakes_of(found),
            _fidelity(found.get("fidelity")), _curve(found.get("curve")),
        )  # fmt: skip


def _figure(found: dict[str, float]) -> Figure:
    return Figure(*(finite(found[key]) for key in ("value", "low", "high") if key == "value" or key in found))


def _curve(found: dict[str, list[float]] | None) -> dict[str, list[float]] | None:
    if found is None:
        return None
    names = ("thresholds", "precision", "recall", "hmean")
    out = {name: [finite(value) for value in found[name]] for name in names}
    if len({len(values) for values in out.values()}) > 1:
        raise ValueError("a curve whose figures are not as many as its thresholds")
    return out


def _fidelity(found: dict[str, Any] | None) -> Fidelity | None:
    if found is None:
        return None
    figures = {} if "why" in found else {key: _figure(found[key]) for key in fidelity.MEASURES}
    return Fidelity(short(str(found["teacher"])), figures, str(found.get("why", "")))


def finite(value: Any) -> float:
    """A number that is one; else a ValueError."""
    if not abs(float(value)) < LARGEST:
        raise ValueError(f"{value} where a number was expected")
    return float(value)


def whole(value: Any) -> int:
    """A count; else a ValueError."""
    if not 0 <= int(value) < LARGEST:
        raise ValueError(f"{value} where a count was expected")
    return int(value)


def _counted(n: Any, right: Any) -> tuple[int, int]:
    if not 0 <= whole(right) <= whole(n):
        raise ValueError(f"{right} of {n} words read right")
    return int(n), int(right)


def mistakes_of(found: dict[str, Any]) -> Mistakes:
    """What a JSON object tells of mistakes."""
    triples, sources = ("confusions", "lengths"), found.get("by_source")
    confusions, lengths = (found.get(key) for key in triples)
    return Mistakes(
        tuple(_example(one) for one in found["examples"]),
        None if confusions is None else tuple((str(t), str(p), whole(n)) for t, p, n in confusions),
        None if lengths is None else tuple((whole(k), *_counted(*of)) for k, *of in lengths),
        None if sources is None else {str(k): _counted(v["n"], v["right"]) for k, v in sources.items()},
    )


def _example(found: dict[str, Any]) -> Example:
    truth = str(found["truth"])
    return Example(
        str(found.get("uid", "")), truth, str(found.get("scored", truth)), str(found["prediction"]),
        finite(found["score"]),
        *(base64.b64decode(found.get(key, ""), validate=True) for key in ("png", "rectified", "jpeg")),
    )  # fmt: skip
