"""What a model costs: parameters, megabytes, operations for one image, memory to train its weights."""

import copy
from typing import Any

import torch

from shards.image import ImageSpec


def cost(model: Any, image: ImageSpec) -> dict[str, Any]:
    """Figures of a model of train.models; `flops` counts a multiplication and an addition as two."""
    from torch.utils.flop_counter import FlopCounterMode

    parameters = sum(p.numel() for p in model.parameters())
    # On the device "meta" an LSTM is the products it is made of; elsewhere it is one call that nobody counts.
    shell = copy.deepcopy(model).to("meta").eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        shell(torch.zeros(1, image.depth, image.height, image.width, device="meta"))
    return {
        "parameters": parameters,
        "megabytes": parameters * 4 / 1e6,
        "frames": model.frames,
        "flops": counter.get_total_flops(),
        # weights, gradients and two moments in fp32
        "training_memory_mb": parameters * 16 / 1e6,
    }
