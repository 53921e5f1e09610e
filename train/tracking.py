"""Tracking: metrics.jsonl is the truth about a run, trackers mirror it and can be rebuilt from it.

    python train/teacher.py run.name=first data.root=data/own tracking=wandb
    python -m train.tracking push runs/first
    python -m train.tracking push runs/first tracking=tensorboard
    python -m train.tracking push runs/first tracking.project=words tracking.mode=online

tracking.json in the run folder holds the id that all restarts share and how far the mirror is.
"""

import secrets
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shards import config
from shards.config import Choice
from shards.errors import BadData, BadSettings
from shards.lookup import find
from shards.manifest import read_json, write_json
from shards.progress import Reporter, run
from train.runfolder import MISTAKES, read_config, read_metrics
from train.trackers import About

STATE = "tracking.json"


class Mirror:
    """Feeds one tracker; what it was told before a restart it is not told again: a run repeats itself."""

    def __init__(self, choice: Choice, folder: Path, config: dict[str, Any], anew: bool = False) -> None:
        self.path = folder / STATE
        known = read_json(self.path) if self.path.exists() and not anew else {}
        if known.get("tracker") != choice.name:
            known = {"format": 1, "tracker": choice.name, "id": secrets.token_hex(4), "steps": {}}
        self.state = known
        member = find("train.trackers", choice.name)
        self.tracker = member.Tracker(choice.settings, About(folder, known["id"], config))

    def log(self, step: int, values: dict[str, float | None]) -> None:
        """A line of metrics.jsonl."""
        if self._new("val" if any(key.startswith("val/") for key in values) else "train", step):
            self.tracker.log(step, values)

    def mistakes(self, step: int, found: dict[str, Any]) -> None:
        """What the newest evaluation got wrong."""
        if self._new("mistakes", step):
            self.tracker.mistakes(step, found)

    def close(self) -> None:
        """Ends the tracker's session."""
        self.tracker.close()

    def _new(self, kind: str, step: int) -> bool:
        """Whether lines of this kind have not come so far yet; notes that they have now."""
        if step <= self.state["steps"].get(kind, -1):
            return False
        self.state["steps"][kind] = step
        write_json(self.path, self.state)
        return True


@dataclass
class Settings:
    """Which runs, and to which tracker."""

    runs: list[str] = field(default_factory=list, metadata={"positional": True})  # run folders
    tracking: Any = field(default="wandb", metadata={"seam": "train.trackers"})
    json: bool = False  # print the result as JSON on the last line


def push(folder: Path, choice: Choice) -> int:
    """Makes a new tracker's run out of a run folder; returns how many lines it was told."""
    lines = read_metrics(folder)
    if not lines:
        raise BadData(f"{folder}: no metrics.jsonl, so nothing to push; runs/NAME is a run folder")
    mirror = Mirror(choice, folder, read_config(folder), anew=True)
    for line in lines:
        mirror.log(line["global_step"], {key: line[key] for key in line if key != "global_step"})
    if (folder / MISTAKES).exists():
        found = read_json(folder / MISTAKES)
        mirror.mistakes(found["global_step"], found)
    mirror.close()
    return len(lines)


def main(argv: list[str]) -> None:
    """Entry."""
    if argv[:1] != ["push"]:
        raise BadSettings(f"python -m train.tracking: no {' '.join(argv[:1])!r} (there are: push)")
    settings = config.read(Settings, "tracking", argv[1:])
    if not settings.runs:
        raise BadSettings("a run folder is needed: python -m train.tracking push runs/first")
    report = Reporter("train.tracking", settings.json)
    report.header(tracker=settings.tracking.name)
    pushed = {path: push(Path(path), settings.tracking) for path in settings.runs}
    report.table("pushed", ["run", "lines"], list(pushed.items()))
    report.done(pushed=pushed)


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
