"""The curves of runs, drawn from the lines of metrics.jsonl: one chart per quantity, one line per run; of a
loss with several terms, one chart per run, one line per term.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from shards.charts import POINTS, lines
from train.account import Account, number
from train.headings import MAIN

POINTS_OF_ALL = 2000  # in one chart: many runs get fewer points each


@dataclass(frozen=True, slots=True)
class Quantity:
    """A key of metrics.jsonl and how it is drawn. times: 100 for percent; of_several: what stands for the
    lines that share a point; log: the upright axis is logarithmic.
    """

    key: str
    title: str
    times: float = 1.0
    log: bool = False
    of_several: Callable[[Sequence[float]], float] = lambda values: math.fsum(values) / len(values)


LOSS = Quantity("train/loss", "Loss that is minimised", log=True)
VALIDATION = (
    *(Quantity(f"val/{main.name}", f"Validation: {main.title}", main.times) for main in MAIN),
    Quantity("val/cer", "Validation: CER, %", 100),
)
FIDELITY = (
    Quantity("train/fidelity/agreement", "Same best class, % of steps", 100),
    Quantity("train/fidelity/blank", "Same blanks, % of steps", 100),
    Quantity("train/fidelity/kl", "KL(teacher, student), nats per step", log=True),
    Quantity("train/fidelity/peak_shift", "From a spike to the student's, steps"),
)
COURSE = (
    Quantity("train/lr", "Learning rate", log=True),
    Quantity("train/grad_norm", "Gradient norm before clipping, the largest", log=True, of_several=max),
    Quantity("perf/images_per_s", "Images per second"),
    Quantity("perf/data_wait_frac", "Time spent waiting for data, %", 100),
    Quantity("train/blank_rate", "Blank rate: time steps whose best class is the blank, %", 100),
    Quantity("train/infeasible", "Infeasible: samples longer than the model can spell, %", 100),
    Quantity("ctc/nonfinite", "Steps skipped so far (gradient not finite)"),
    Quantity("data/damaged", "Damaged samples left out so far"),
)
PULLS, CLOSENESS = "train/grad/", "train/fidelity/"


@dataclass(frozen=True, slots=True)
class Group:
    """Charts that belong together; small: they are small multiples."""

    title: str
    charts: list[Markup]
    small: bool = False


def draw(accounts: Sequence[Account]) -> tuple[list[Group], list[str]]:
    """The charts of what was logged, and the titles of quantities that were logged and 0 all the time."""
    zero: list[str] = []
    groups = [
        Group("Loss", [*_each([LOSS], accounts, zero), *_by_term(accounts, zero)]),
        Group("Validation", _each(VALIDATION, accounts, zero)),
        Group("Closeness to the teacher", _each(FIDELITY, accounts, zero), small=True),
        Group("Course of the training", _each(COURSE, accounts, zero)),
    ]
    return [group for group in groups if group.charts], zero


def _each(quantities: Sequence[Quantity], accounts: Sequence[Account], zero: list[str]) -> list[Markup]:
    """A chart per quantity, a line per run."""
    charts = (_chart(q.title, q, {one.name: (one, q.key) for one in accounts}, zero) for q in quantities)
    return [chart for chart in charts if chart]


def _by_term(accounts: Sequence[Account], zero: list[str]) -> list[Markup]:
    """Two charts per run whose loss has several terms: the terms, and what each pulls, a line per term.

    A term has the same colour in all of them.
    """
    own = {one.name: _terms(one) for one in accounts}
    every = sorted(
        {term for terms in own.values() for term in terms}, key=lambda term: (term != "task", term)
    )
    charts = []
    for one in (one for one in accounts if len(own[one.name]) > 1):
        for what, prefix in (("Loss by term, before its weight", "train/"), ("Gradient norm by term", PULLS)):
            lines_of = {term: (one, prefix + term) for term in every}
            charts.append(_chart(f"{what}: {one.name}", Quantity(prefix, "", log=True), lines_of, zero))
    return [chart for chart in charts if chart]


def _terms(one: Account) -> set[str]:
    """The terms of a run's loss."""
    known = {quantity.key for quantity in (LOSS, *COURSE)}
    keys = {key for line in one.lines for key in line if key.startswith("train/")} - known
    return {key.removeprefix("train/") for key in keys if not key.startswith((PULLS, CLOSENESS))}


def _chart(
    title: str, quantity: Quantity, wanted: dict[str, tuple[Account, str]], zero: list[str]
) -> Markup | None:
    """A line per name, of a run's key; None where there is nothing to see."""
    found = {name: _points(one.lines, key, quantity.times) for name, (one, key) in wanted.items()}
    values = [value for _, line in found.values() for value in line]
    if not any(values):
        zero += [title] if values else []
        return None
    most = min(POINTS, POINTS_OF_ALL // len(wanted))
    thinned = {name: _thinned(*line, most, quantity.of_several) for name, line in found.items()}
    return lines(title, thinned, "optimiser step", quantity.log)


def _points(found: Sequence[dict[str, Any]], key: str, times: float) -> tuple[list[float], list[float]]:
    pairs = [
        (line["global_step"], value * times) for line in found if (value := number(line, key)) is not None
    ]
    return [step for step, _ in pairs], [value for _, value in pairs]


def _thinned(
    steps: Sequence[float], values: Sequence[float], most: int, of_several: Callable[[Sequence[float]], float]
) -> tuple[list[float], list[float]]:
    """At most `most` points: runs of equally many neighbours become one each, at the last one's step."""
    size = math.ceil(len(steps) / max(most, 1)) or 1
    starts = range(0, len(steps), size)
    ends = [min(start + size, len(steps)) for start in starts]
    return [steps[end - 1] for end in ends], [
        of_several(values[a:b]) for a, b in zip(starts, ends, strict=True)
    ]
