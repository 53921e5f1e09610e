"""What schedules share: a linear rise of the rate before the rest of the run."""

import math
from dataclasses import dataclass

from shards.errors import BadSettings
from shards.typed import check_ranges


@dataclass(frozen=True)
class Settings:
    """The rise."""

    warmup: float = 0.05  # share of all steps with a rising rate

    def __post_init__(self) -> None:
        check(self, "warmup", most=1.0)
        if self.warmup == 1:
            raise BadSettings("schedule.warmup: 1.0, must be below 1: the peak is never reached")


def check(settings: object, *names: str, most: float, least: float = 0.0) -> None:
    """Refuses values under `least` or over `most`."""
    check_ranges(settings, "schedule.", **dict.fromkeys(names, (least, most)))


def rise(warmup: float, step: int, steps: int) -> tuple[float, float]:
    """(share of the peak that the rise has reached, share of the rest of the run that is behind), 0 to 1."""
    warm = math.ceil(warmup * steps)
    if step < warm:
        return (step + 1) / warm, 0.0
    return 1.0, min(1.0, (step - warm) / max(1, steps - 1 - warm))
