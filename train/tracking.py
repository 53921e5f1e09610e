"""Tracking: metrics.jsonl is the truth about a run, trackers mirror it and can be rebuilt from it.

    python train/teacher.py run.name=first data.root=data/own tracking=wandb
    python -m train.tracking push runs/first
    python -m train.tracking push runs/first tracking=tensorboard
    python -m train.tracking push runs/first tracking.project=words tracking.mode=online

tracking.json in the run folder holds the id that all restarts share and how far the mirror is.
"""

import os
import secrets
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shards import config, lock
from shards.config import Choice
from shards.errors import BadData, BadSettings
from shards.lookup import find
from shards.progress import Reporter, run
from shards.written import read_json, write_json
from train.runfolder import MISTAKES, read_config, read_metrics
from train.trackers import About, none

STATE = "tracking.json"


class Mirror:
    """Feeds one tracker with a run's lines, those first that it was not told; each line is told once.

    A restarted run repeats itself, so what came before a restart is skipped. A tracker that fails is let go,
    and the run goes on: metrics.jsonl has everything. anew: as if nothing had been told.
    """

    def __init__(
        self,
        choice: Choice,
        folder: Path,
        config: dict[str, Any],
        say: Callable[[str], None],
        anew: bool = False,
    ) -> None:
        self.folder, self.say, self.failure = folder, say, ""
        known = read_json(folder / STATE) if (folder / STATE).exists() and not anew else {}
        if known.get("tracker") != choice.name:
            known = {"format": 1, "tracker": choice.name, "id": secrets.token_hex(4), "steps": {}}
        self.state = known
        about = About(folder, known["id"], config, anew=not known["steps"])
        self.tracker: Any = find("train.trackers", choice.name).Tracker(choice.settings, about)
        for line in read_metrics(folder):
            self.log(line["global_step"], {key: line[key] for key in line if key != "global_step"})
        if (folder / MISTAKES).exists():
            found = read_json(folder / MISTAKES)
            self.mistakes(found["global_step"], found)

    def log(self, step: int, values: dict[str, float | None]) -> None:
        """A line of metrics.jsonl."""
        kind = "val" if any(key.startswith("val/") for key in values) else "train"
        self._tell(kind, step, lambda: self.tracker.log(step, values))

    def mistakes(self, step: int, found: dict[str, Any]) -> None:
        """What the newest evaluation got wrong."""
        self._tell("mistakes", step, lambda: self.tracker.mistakes(step, found))

    def close(self) -> None:
        """Ends the tracker's session."""
        self._safely(self.tracker.close)

    def _tell(self, kind: str, step: int, tell: Callable[[], None]) -> None:
        if step > self.state["steps"].get(kind, -1) and self._safely(tell):
            self.state["steps"][kind] = step
            write_json(self.folder / STATE, self.state)

    def _safely(self, action: Callable[[], None]) -> bool:
        try:
            action()
            return True
        except Exception as error:  # a mirror may break; the run may not
            self.failure = repr(error)
            again = f"python -m train.tracking push {self.folder}"
            self.say(f"tracking has failed and stops here ({error!r}); metrics.jsonl goes on: {again}")
            self.tracker = none.Tracker(none.Settings(), About(self.folder, "", {}))
            return False


@dataclass
class Settings:
    """Which runs, and to which tracker."""

    runs: list[str] = field(default_factory=list, metadata={"positional": True})  # run folders
    tracking: Any = field(default="wandb", metadata={"seam": "train.trackers"})
    json: bool = False  # print the result as JSON on the last line


def push(folder: Path, choice: Choice, say: Callable[[str], None]) -> int:
    """Makes a new tracker's run out of a run folder; returns how many lines it was told."""
    lines = len(read_metrics(folder))
    if not lines or not (folder / "config.yaml").exists():
        raise BadData(f"{folder}: no metrics.jsonl and config.yaml, so not a run folder; runs/NAME is one")
    handle = lock.take_in(folder, f"{folder}: the run goes on; it is pushed when it has ended")
    try:
        mirror = Mirror(choice, folder, read_config(folder), say, anew=True)
        mirror.close()
    finally:
        os.close(handle)
    if mirror.failure:
        raise BadData(f"{folder}: the tracker did not take everything ({mirror.failure})")
    return lines


def main(argv: list[str]) -> None:
    """Entry."""
    if argv[:1] != ["push"]:
        raise BadSettings(f"python -m train.tracking: no {' '.join(argv[:1])!r} (there are: push)")
    settings = config.read(Settings, "tracking", argv[1:])
    if not settings.runs:
        raise BadSettings("a run folder is needed: python -m train.tracking push runs/first")
    report = Reporter("train.tracking", settings.json)
    report.header(tracker=settings.tracking.name)
    pushed = {path: push(Path(path), settings.tracking, report.say) for path in settings.runs}
    report.table("pushed", ["run", "lines"], list(pushed.items()))
    report.done(pushed=pushed)


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
