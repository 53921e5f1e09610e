"""A linear rise, then the peak, multiplied by a factor at given shares of the run."""

from dataclasses import dataclass, field

from shards.errors import BadSettings
from train import warmup


@dataclass(frozen=True)
class Settings(warmup.Settings):
    """When it falls, and how far."""

    warmup: float = 0.0  # share of all steps with a rising rate
    at: list[float] = field(default_factory=lambda: [0.5, 0.75])  # shares of all steps where it falls
    factor: float = 0.1  # what is left of the rate after a fall

    def __post_init__(self) -> None:
        super().__post_init__()
        warmup.check(self, "factor", least=1e-6, most=1.0)
        if any(not 0 < at < 1 for at in self.at):
            raise BadSettings(f"schedule.at: {self.at}, must be shares of the run between 0 and 1")


def share(settings: Settings, step: int, steps: int) -> float:
    """Of the peak, at a step."""
    fallen = sum(step >= at * steps for at in settings.at)
    return warmup.rise(settings.warmup, step, steps)[0] * settings.factor**fallen
