"""The training state: where a run is, and the folder that brings it back there exactly.

A state is written under another name and renamed when whole; accelerate's files in it are read only from a run's own
folder.
"""

import json
import math
from dataclasses import asdict, dataclass

from accelerate import Accelerator
from safetensors.torch import load_file, save_file
from torch import nn

from shards.manifest import write_json
from train.runfolder import RunFolder


@dataclass
class Position:
    """Where a run is. evaluated: global step of the last evaluation; bad: evaluations since the best."""

    epoch: int = 0
    step: int = 0
    global_step: int = 0
    evaluated: int = -1
    best: float = -math.inf
    best_step: int = -1
    bad: int = 0
    seconds: float = 0.0
    nonfinite: int = 0
    damaged: int = 0


def save(
    accelerator: Accelerator,
    folder: RunFolder,
    at: Position,
    metrics: dict[str, float],
    shadow: nn.Module | None,
) -> None:
    """Writes the state of all ranks and makes it the newest."""
    part = folder.states / f"step-{at.global_step:010d}.part"
    accelerator.save_state(str(part))
    if folder.main:
        if shadow is not None:
            save_file(shadow.state_dict(), part / "average.safetensors")
        write_json(part / "position.json", {"format": 1, "metrics": metrics, "position": asdict(at)})
    accelerator.wait_for_everyone()  # save_state itself has no barrier at its end
    folder.commit_state(part)
    accelerator.wait_for_everyone()


def restore(
    accelerator: Accelerator, folder: RunFolder, shadow: nn.Module | None
) -> tuple[Position, dict[str, float]] | None:
    """Loads the newest state and drops what was logged after it; None where there is none."""
    newest = folder.newest_state()
    if newest is None:
        folder.rewind(-1)
        return None
    accelerator.load_state(str(newest))
    content = json.loads((newest / "position.json").read_text())
    at = Position(**content["position"])
    if shadow is not None:
        shadow.load_state_dict(load_file(newest / "average.safetensors"))
    folder.rewind(at.global_step)
    accelerator.wait_for_everyone()
    return at, content["metrics"]
