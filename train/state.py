"""The training state: where a run is, and the folder that brings it back there exactly.

A state is written under another name and renamed when whole; position.json, written last, holds the sha256 of
every other file. accelerate's files in it are read only from a run's own folder.
"""

import json
import math
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn

from shards.errors import BadData
from shards.pack import sha256_of
from shards.written import read_json, write_json
from train.runfolder import POSITION, RunFolder
from train.runtime import on_main

FORMAT = 2
AVERAGE = "average.safetensors"


@dataclass
class Position:
    """Where a run is. evaluated: global step of the last evaluation; bad: evaluations since the best.

    in_a_row: steps skipped just now because a gradient was not finite; seconds: of training, in all.
    """

    epoch: int = 0
    step: int = 0
    global_step: int = 0
    evaluated: int = -1
    best: float = math.nan  # before the first evaluation
    best_step: int = -1
    bad: int = 0
    seconds: float = 0.0
    nonfinite: int = 0
    in_a_row: int = 0
    damaged: int = 0


def name(at: Position) -> str:
    """The name of a state's folder; names sort by age, the evaluation of a step coming after the step."""
    return f"step-{at.global_step:010d}" + ("-judged" if at.evaluated == at.global_step else "")


def save(
    accelerator: Accelerator,
    folder: RunFolder,
    at: Position,
    metrics: dict[str, float],
    average: nn.Module | None,
) -> None:
    """Writes the state of all ranks and makes it the newest."""
    part = folder.states / f"{name(at)}.part"
    on_main(accelerator, lambda: shutil.rmtree(part, ignore_errors=True))  # what a crash left
    accelerator.save_state(str(part))
    if folder.main and average is not None:
        # channels_last weights are not contiguous, and safetensors takes no others
        save_file({k: v.contiguous() for k, v in average.state_dict().items()}, part / AVERAGE)
    accelerator.wait_for_everyone()  # save_state itself has no barrier at its end
    if folder.main:
        files = {
            str(p.relative_to(part)): {"bytes": p.stat().st_size, "sha256": sha256_of(p)}
            for p in sorted(part.rglob("*"))
            if p.is_file()
        }
        content = {"format": FORMAT, "files": files, "metrics": metrics, "position": asdict(at)}
        write_json(part / POSITION, content)
        folder.commit_state(part)
    accelerator.wait_for_everyone()


def restore(
    accelerator: Accelerator, folder: RunFolder, average: nn.Module | None
) -> tuple[Position, dict[str, float]] | None:
    """Loads the newest state and drops what was logged after it; None where there is none.

    A state with a file that is missing or differs is a BadData that names the file.
    """
    newest = folder.newest_state()
    if newest is None:
        folder.rewind(-1, -1)
        return None
    on_main(accelerator, lambda: check(newest))
    accelerator.load_state(str(newest))
    content = json.loads((newest / POSITION).read_text())
    at = Position(**content["position"])
    if average is not None:
        average.load_state_dict(load_file(newest / AVERAGE))
    folder.rewind(at.global_step, at.evaluated)
    accelerator.wait_for_everyone()
    return at, content["metrics"]


def check(state: Path) -> None:
    """Compares every file of a state with position.json."""
    content = read_json(state / POSITION)
    if content.get("format") != FORMAT:
        raise BadData(f"{state / POSITION}: format {content.get('format')!r}, this version reads {FORMAT}")
    for file, wanted in content["files"].items():
        path, problem = state / file, ""
        if not path.is_file():
            problem = "is missing"
        elif path.stat().st_size != wanted["bytes"]:
            problem = f"has {path.stat().st_size} bytes, {POSITION} says {wanted['bytes']}"
        elif sha256_of(path) != wanted["sha256"]:
            problem = f"differs from its sha256 in {POSITION}"
        if problem:
            raise BadData(f"{path} {problem}; remove {state.parent} to begin this run again")
