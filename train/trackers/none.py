"""No tracker: metrics.jsonl stands alone."""

from dataclasses import dataclass
from typing import Any

from train.trackers import About


@dataclass
class Settings:
    """Nothing to set."""


class Tracker:
    """See train.trackers."""

    def __init__(self, settings: Settings, about: About) -> None:
        pass

    def log(self, step: int, values: dict[str, float | None]) -> None:
        """Does nothing."""

    def mistakes(self, step: int, found: dict[str, Any]) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""
