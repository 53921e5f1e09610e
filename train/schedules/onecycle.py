"""One cycle (Smith, Topin 2018): a cosine up from a fraction of the peak, a cosine down to nearly nothing.

The momentum does not cycle.
"""

import math
from dataclasses import dataclass

from train import warmup


@dataclass(frozen=True)
class Settings:
    """The two ends and the place of the peak; defaults are those of torch's OneCycleLR."""

    peak: float = 0.3  # share of all steps before the peak
    start: float = 0.04  # first rate as a share of the peak
    floor: float = 4e-6  # last rate as a share of the peak

    def __post_init__(self) -> None:
        warmup.check(self, "peak", "start", "floor", most=1.0)


def share(settings: Settings, step: int, steps: int) -> float:
    """Of the peak, at a step."""
    top, last = settings.peak * (steps - 1), max(1, steps - 1)
    if step < top:
        return _between(settings.start, 1.0, step / top)
    return _between(1.0, settings.floor, min(1.0, (step - top) / max(1e-9, last - top)))


def _between(first: float, last: float, way: float) -> float:
    return last + (first - last) * (1 + math.cos(math.pi * way)) / 2
