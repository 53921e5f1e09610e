"""Optimiser and schedule. The rate is a pure function of the step: nothing to save, nothing to drift."""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from shards.errors import BadSettings
from shards.typed import check_ranges


@dataclass(frozen=True)
class Settings:
    """How weights move."""

    name: Literal["adamw", "sgd"] = "adamw"  # the optimiser
    lr: float = 1e-3  # peak learning rate
    weight_decay: float = 1e-4  # on matrices and kernels, not on biases and norms
    warmup: float = 0.05  # share of all steps with a rising rate
    floor: float = 0.01  # last rate as a share of the peak
    momentum: float = 0.9  # sgd, and the first beta of adamw

    def __post_init__(self) -> None:
        ranges = {"lr": (0.0, math.inf), "weight_decay": (0.0, math.inf), "floor": (0.0, 1.0)}
        check_ranges(self, "optim.", **ranges, warmup=(0.0, 1.0), momentum=(0.0, 1.0))
        if self.lr == 0 or self.warmup == 1 or self.momentum == 1:
            raise BadSettings(
                f"optim.lr {self.lr} must be above 0, optim.warmup {self.warmup} and optim.momentum "
                f"{self.momentum} below 1"
            )


def optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """The optimiser over a model's trainable parameters."""
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    if settings.name == "sgd":
        return torch.optim.SGD(
            groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.momentum > 0
        )
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(settings.momentum, 0.99), fused=True)


def rate(settings: Settings, step: int, steps: int) -> float:
    """The learning rate of a step in 0 .. steps-1: linear warm-up, then a cosine down to the floor."""
    warm = math.ceil(settings.warmup * steps)
    if step < warm:
        return settings.lr * (step + 1) / warm
    progress = (step - warm) / max(1, steps - 1 - warm)
    return settings.lr * (
        settings.floor + (1 - settings.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
    )
