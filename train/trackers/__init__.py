"""Seam: one file per tracker, a mirror of a run's metrics.jsonl, fed by `train.tracking` alone.

A member offers `Settings` and `Tracker(settings, about)` with
    log(step, values)       a line of metrics.jsonl: key -> number, null where it was not finite
    mistakes(step, found)   what the newest evaluation got wrong (see train.mistakes)
    close()
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class About:
    """What a tracker is told of a run: its folder, an id that all its restarts share, its settings, and
    whether nothing of what an earlier tracker of this kind left there counts any more.
    """

    folder: Path
    id: str
    config: dict[str, Any]
    anew: bool = True
