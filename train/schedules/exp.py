"""A linear rise, then an exponential fall: the same factor at every step."""

from dataclasses import dataclass

from train import warmup


@dataclass(frozen=True)
class Settings(warmup.Settings):
    """The rise and the end."""

    floor: float = 0.01  # last rate as a share of the peak, above 0

    def __post_init__(self) -> None:
        super().__post_init__()
        warmup.check(self, "floor", least=1e-12, most=1.0)


def share(settings: Settings, step: int, steps: int) -> float:
    """Of the peak, at a step."""
    risen, behind = warmup.rise(settings.warmup, step, steps)
    return risen * settings.floor**behind
