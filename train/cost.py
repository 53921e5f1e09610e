"""What a model costs: parameters, megabytes, operations for one image, memory to train its weights."""

from typing import Any

import torch

from shards.image import ImageSpec


def cost(model: Any, image: ImageSpec, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Figures of a model of train.models; `flops` counts a multiplication and an addition as two."""
    from torch.utils.flop_counter import FlopCounterMode

    parameters, was_training = sum(p.numel() for p in model.parameters()), model.training
    blank = torch.zeros(1, image.depth, image.height, image.width, device=device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(blank)
    model.train(was_training)
    return {
        "parameters": parameters,
        "megabytes": parameters * 4 / 1e6,
        "frames": model.frames,
        "flops": counter.get_total_flops(),
        # weights, gradients and two moments in fp32
        "training_memory_mb": parameters * 16 / 1e6,
    }
