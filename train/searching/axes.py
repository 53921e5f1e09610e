"""What a search varies: each key=value of the command line is fixed, an axis, or the seeds.

    method=none,logits             an axis of two values       method=[logits,hard]      one value
    optim.lr=log(1e-4,1e-2)        a range, even in the logarithm
    augment.blur=uniform(0,2)      a range
    model.rnn_hidden=int(32,128)   a range of whole numbers, both ends included
    seed=0,1,2                     no axis: every setting is run with each of them

Values stay the text that was typed; what it means is the entry's business.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass

from shards.errors import BadSettings

SEED = "seed"
PAIRS = {"(": ")", "[": "]", "{": "}"}

Point = dict[str, str]  # a value for every axis


@dataclass(frozen=True, slots=True)
class Choice:
    """An axis of values."""

    values: tuple[str, ...]

    @property
    def count(self) -> float:
        """How many values there are."""
        return len(self.values)

    def at(self, place: float) -> str:
        """The value at a place in [0, 1)."""
        return self.values[int(place * len(self.values))]


@dataclass(frozen=True, slots=True)
class Uniform:
    """A range of numbers. `at` and `place` map [0, 1) to texts and back; texts have four digits."""

    low: float
    high: float
    values = ()
    count = math.inf

    def at(self, place: float) -> str:
        """The value at a place in [0, 1)."""
        return _number(self.low + place * (self.high - self.low), self.low, self.high)

    def place(self, text: str) -> float:
        """Where a value stands in [0, 1]."""
        return (float(text) - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Log(Uniform):
    """A range of numbers above 0, even in their logarithm."""

    def __post_init__(self) -> None:
        if self.low <= 0:
            raise ValueError("begins above 0")

    def at(self, place: float) -> str:
        """The value at a place in [0, 1)."""
        return _number(self.low * (self.high / self.low) ** place, self.low, self.high)

    def place(self, text: str) -> float:
        """Where a value stands in [0, 1]."""
        return math.log(float(text) / self.low) / math.log(self.high / self.low)


@dataclass(frozen=True, slots=True)
class Whole(Uniform):
    """A range of whole numbers, both ends included."""

    def __post_init__(self) -> None:
        if self.low != int(self.low) or self.high != int(self.high):
            raise ValueError("takes whole numbers")

    @property
    def count(self) -> float:  # pyright: ignore[reportIncompatibleVariableOverride]
        """How many values there are."""
        return int(self.high - self.low) + 1

    def at(self, place: float) -> str:
        """The value at a place in [0, 1)."""
        return str(int(self.low) + min(int(place * self.count), int(self.count) - 1))

    def place(self, text: str) -> float:
        """The middle of a value's share of [0, 1]."""
        return (int(text) - self.low + 0.5) / self.count


Axis = Choice | Uniform
RANGES = {"log": Log, "uniform": Uniform, "int": Whole}


@dataclass(frozen=True, slots=True)
class Space:
    """What every trial has in common, what varies, and the seeds (none: the entry's own)."""

    fixed: dict[str, str]
    axes: dict[str, Axis]
    seeds: tuple[str, ...] = ()


def parse(arguments: Iterable[tuple[str, str]]) -> Space:
    """The space that (key, text) pairs span; of a key given twice the last counts."""
    fixed, axes, seeds = {}, {}, ()
    for key, text in dict(arguments).items():
        axis = _axis(key, text)
        if key == SEED:
            seeds = (text,) if axis is None else axis.values
            if not seeds:
                raise BadSettings(f"seed={text}: seeds are listed, as in seed=0,1,2")
        elif axis is None:
            fixed[key] = text
        else:
            axes[key] = axis
    return Space(fixed, axes, tuple(seeds))


def pairs(key: str, text: str) -> Point:
    """`a=1,b.c=[2,3]` as {"a": "1", "b.c": "[2,3]"}. key: the setting that the text stands in."""
    found = {}
    for part in parts(key, text) if text else ():
        name, equals, value = part.partition("=")
        if not equals or not name:
            raise BadSettings(f"{key}={text}: {part!r} is not KEY=VALUE")
        found[name] = value
    return found


def parts(key: str, text: str) -> list[str]:
    """A text cut at the commas that stand in no brackets."""
    found, closing = [""], []
    for letter in text:
        if letter in PAIRS:
            closing.append(PAIRS[letter])
        elif closing and letter == closing[-1]:
            closing.pop()
        if letter == "," and not closing:
            found.append("")
        else:
            found[-1] += letter
    if closing and "," in text:
        raise BadSettings(f"{key}={text}: {closing[-1]!r} is missing; [a,b] is one value, a,b are two")
    return [part.strip() for part in found]


def _axis(key: str, text: str) -> Axis | None:
    """The axis that a text spells; None if it is one value."""
    values = parts(key, text)
    if len(values) == 1:
        return _range(key, text)
    for value in values:
        if not value:
            raise BadSettings(f"{key}={text}: an empty value between commas")
        if values.count(value) > 1:
            raise BadSettings(
                f"{key}={text}: {value} stands there twice; [{text}] would be one value, a list"
            )
        if _range(key, value):
            raise BadSettings(f"{key}={text}: a range stands alone, it cannot be one of several values")
    return Choice(tuple(values))


def _range(key: str, text: str) -> Axis | None:
    match = re.fullmatch(rf"({'|'.join(RANGES)})\((.*)\)", text.strip())
    if not match:
        return None
    kind, inside = match.groups()
    try:
        low, high = (float(end) for end in inside.split(","))
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError("goes from a number up to a greater one")
        return RANGES[kind](low, high)
    except ValueError as error:
        told = str(error) if "float" not in str(error) and "unpack" not in str(error) else "has two numbers"
        raise BadSettings(f"{key}={text}: {kind}(LOW,HIGH) {told}, as in {kind}(1,10)") from None


def _number(value: float, low: float, high: float) -> str:
    """Four digits are enough for a setting, and short enough for a name; rounding stays within the range."""
    return f"{min(max(float(f'{value:.4g}'), low), high):.12g}"
