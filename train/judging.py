"""Judging: each sample once, in fp32, damaged ones counted as missed; equal on any number of ranks."""

from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from shards.augment import Augment, Settings
from shards.errors import BadSettings
from shards.loader import Loader
from shards.placing import returned
from shards.plan import Plan
from shards.read import Shards
from train.models import answer
from train.runtime import gather


def device(text: str) -> torch.device:
    """A device that is there, by its name; another is a BadSettings that lists what there is."""
    there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    if text not in there and not (text == "cuda" and len(there) > 1):
        raise BadSettings(f"device={text}: torch sees no such device (there are: {', '.join(there)})")
    return torch.device(text)


def still_loader(
    shards: Shards,
    task: Any,
    batch: int,
    positions: np.ndarray | None = None,
    engine: str = "plain",
    threads: int = 0,
    device: torch.device | str = "cpu",
    rank: int = 0,
    world: int = 1,
) -> Loader:
    """A loader over the untouched view of samples, in their stored order."""
    chosen = np.arange(len(shards)) if positions is None else positions
    plan = Plan(shards.uids[chosen], batch, shuffle=False)
    return Loader(
        shards,
        plan,
        task.image,
        task.encode,
        Augment(Settings()),
        1,
        engine,
        threads,
        device,
        rank,
        world,
        chosen,
    )


def judge(
    model: nn.Module,
    task: Any,
    loader: Loader,
    accelerator: Accelerator | None = None,
    damage: dict[int, str] | None = None,
) -> Any:
    """A meter of the task holding every sample of the loader, on every rank.

    damage: is filled with {uid: what is wrong} of the damaged ones.
    """
    meter, was_training = task.meter(), model.training
    found = {} if damage is None else damage
    model.eval()
    with torch.inference_mode():
        for batch in loader.batches(0):
            found_here = task.decode(answer(model, batch))
            words = [returned(w, affine) for w, affine in zip(found_here, batch.affines, strict=True)]
            counted = [i for i in range(len(words)) if bool(batch.valid[i]) or i in batch.damage]
            found |= {int(batch.uids[i]): reason for i, reason in batch.damage.items()}
            meter.update(
                [int(batch.uids[i]) for i in counted],
                [words[i] if i not in batch.damage else () for i in counted],
                [batch.records[i] for i in counted],
            )
    model.train(was_training)
    if accelerator is not None and accelerator.num_processes > 1:
        for entries, theirs in gather(accelerator, (meter.entries(), dict(found))):
            meter.absorb(entries)
            found |= theirs
    return meter
