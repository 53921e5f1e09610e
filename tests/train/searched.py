"""A double of a training for train.search: quick, deterministic, and ending badly on demand."""

import json
import os
import signal
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from shards import config, progress
from shards.errors import BadData, Preempted
from train import runfolder


@dataclass
class Data:
    share: float = 1.0


@dataclass
class Settings:
    data: Data = field(default_factory=Data)
    run: runfolder.Settings = field(default_factory=runfolder.Settings)
    x: float = 0.0
    shape: list[int] = field(default_factory=list)
    method: str = "none"
    end: str = "well"
    seconds: float = 0.0
    seed: int = 0
    control: str = ""


def stop(number, frame):
    raise Preempted("asked to")


def main(argv):
    given = config.read(Settings, "double", argv)
    folder = Path(given.run.root) / given.run.name
    signal.signal(signal.SIGTERM, stop)
    (folder / "best").mkdir(parents=True, exist_ok=True)
    with open(folder / "begun", "a") as file:
        print(os.getpid(), file=file, flush=True)
    waited, parent = folder / "waited", os.getppid()
    try:
        while not waited.exists() and given.seconds:
            time.sleep(0.05)
            given.seconds = max(0, given.seconds - 0.05)
            if os.getppid() != parent:
                raise Preempted("nobody waits")
    finally:
        waited.touch()
    if given.end == "badly":
        raise BadData("the data | smell")
    if given.end == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if given.end == "bug":
        raise ValueError("two\nlines")
    score = 0.5 - abs(given.x - 0.5) + 0.01 * given.seed + 0.1 * (given.method != "none")
    content = {"metrics": {"word_acc": score, "cer": 1 - score}}
    content |= {"control": given.control, "shape": given.shape, "samples": round(1000 * given.data.share)}
    (folder / "best" / "config.json").write_text(json.dumps(content))
    progress.status(folder, "done", 0)


if __name__ == "__main__":
    sys.exit(progress.run(main))
