"""A linear rise, then half a cosine down to a floor (Loshchilov, Hutter 2017, without restarts)."""

import math
from dataclasses import dataclass

from train import warmup


@dataclass(frozen=True)
class Settings(warmup.Settings):
    """The rise and the end."""

    floor: float = 0.01  # last rate as a share of the peak

    def __post_init__(self) -> None:
        super().__post_init__()
        warmup.check(self, "floor", most=1.0)


def share(settings: Settings, step: int, steps: int) -> float:
    """Of the peak, at a step."""
    risen, behind = warmup.rise(settings.warmup, step, steps)
    return risen * (settings.floor + (1 - settings.floor) * (1 + math.cos(math.pi * behind)) / 2)
