"""The peak from beginning to end, after a linear rise where one is asked for."""

from dataclasses import dataclass

from train import warmup


@dataclass(frozen=True)
class Settings(warmup.Settings):
    """The rise."""

    warmup: float = 0.0  # share of all steps with a rising rate


def share(settings: Settings, step: int, steps: int) -> float:
    """Of the peak, at a step."""
    return warmup.rise(settings.warmup, step, steps)[0]
