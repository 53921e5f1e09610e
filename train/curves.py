"""The curves of runs, drawn from the lines of metrics.jsonl: one chart per quantity, one line per run."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from shards.charts import POINTS, lines
from train.account import Account, number

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
AFTER = (
    Quantity("val/word_acc", "Validation: word accuracy, %", 100),
    Quantity("val/cer", "Validation: CER, %", 100),
    Quantity("train/lr", "Learning rate", log=True),
    Quantity("train/grad_norm", "Gradient norm before clipping, the largest", log=True, of_several=max),
    Quantity("perf/images_per_s", "Images per second"),
    Quantity("perf/data_wait_frac", "Time spent waiting for data, %", 100),
    Quantity("train/blank_rate", "Blank rate: time steps whose best class is the blank, %", 100),
    Quantity("train/infeasible", "Infeasible: samples longer than the model can spell, %", 100),
    Quantity("ctc/nonfinite", "Steps skipped so far (gradient not finite)"),
    Quantity("data/damaged", "Damaged samples left out so far"),
)


def draw(accounts: Sequence[Account]) -> tuple[list[Markup], list[str]]:
    """The charts of what was logged, and the titles of quantities that were logged and 0 all the time."""
    charts, zero = [], []
    for quantity in (LOSS, *_terms(accounts), *AFTER):
        found = {one.name: _points(one.lines, quantity) for one in accounts}
        values = [value for _, line in found.values() for value in line]
        if not values:
            continue
        if not any(values):
            zero.append(quantity.title)
            continue
        most = min(POINTS, POINTS_OF_ALL // len(accounts))
        thinned = {name: _thinned(*line, most, quantity.of_several) for name, line in found.items()}
        charts.append(lines(quantity.title, thinned, "optimiser step", quantity.log))
    return charts, zero


def _terms(accounts: Sequence[Account]) -> list[Quantity]:
    """The terms of the loss; none where `task` is the only one, since it is then the loss itself."""
    known = {quantity.key for quantity in (LOSS, *AFTER)}
    keys = {key for one in accounts for line in one.lines for key in line if key.startswith("train/")} - known
    terms = sorted(keys, key=lambda key: (key != "train/task", key))
    return [Quantity(key, f"Loss by term: {key[6:]}", log=True) for key in terms] if len(terms) > 1 else []


def _points(found: Sequence[dict[str, Any]], quantity: Quantity) -> tuple[list[float], list[float]]:
    pairs = [
        (line["global_step"], value * quantity.times)
        for line in found
        if (value := number(line, quantity.key)) is not None
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
