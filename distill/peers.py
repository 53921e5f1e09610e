"""The model of a student that learns beside the first: of the same architecture, with other weights.

It begins with weights drawn from another seed, or with those of a model folder (`peer=MODEL`); drawing them
leaves the random numbers of the run where they stood.
"""

from dataclasses import replace

import torch
from torch import nn

from shards import keyed
from shards.config import Choice
from shards.errors import BadSettings
from train import starting, zero
from train.workbench import Bench


def make(bench: Bench, folder: str = "") -> nn.Module:
    """The peer of a bench's model, on its device; one that begins as the first does is refused."""
    settings = bench.settings
    task = Choice(settings.task.name, bench.task.settings)
    chosen = replace(
        settings,
        task=task,
        image=bench.task.image,
        init_from=folder,
        init_parts=[],
        charset=starting.Settings(),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(keyed.hashed(settings.seed, keyed.word("peer")) >> 1))
        _, model, _ = starting.build(chosen)
    model = model.to(device=bench.accelerator.device)
    pairs = zip(model.parameters(), bench.model.parameters(), strict=True)
    if all(torch.equal(mine, other) for mine, other in pairs):
        raise BadSettings(
            f"peer={folder}: the second student begins with the very weights of the first and would have "
            "nothing to tell it; leave peer= out, or give another model"
        )
    return model if zero.asked() else model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
