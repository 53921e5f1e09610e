"""RMSprop (Hinton 2012): the gradient over the root of its mean square."""

from dataclasses import dataclass

import torch

from train import optim


@dataclass(frozen=True)
class Settings(optim.Settings):
    """See torch.optim.RMSprop."""

    lr: float = 5e-4  # peak learning rate
    memory: float = 0.99  # of the gradient's square
    momentum: float = 0.0  # of the steps

    def __post_init__(self) -> None:
        super().__post_init__()
        optim.check_memories(self, "memory", "momentum")


def build(groups: list[dict], settings: Settings) -> torch.optim.Optimizer:
    """RMSprop over the groups."""
    return torch.optim.RMSprop(groups, lr=settings.lr, alpha=settings.memory, momentum=settings.momentum)
