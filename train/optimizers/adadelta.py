"""Adadelta (Zeiler 2012): steps in the units of the weights, from memories of steps and gradients."""

from dataclasses import dataclass

import torch

from train import optim


@dataclass(frozen=True)
class Settings(optim.Settings):
    """See torch.optim.Adadelta."""

    lr: float = 1.0  # peak learning rate
    memory: float = 0.9  # of the squares of gradients and steps

    def __post_init__(self) -> None:
        super().__post_init__()
        optim.check_memories(self, "memory")


def build(groups: list[dict], settings: Settings) -> torch.optim.Optimizer:
    """Adadelta over the groups."""
    return torch.optim.Adadelta(groups, lr=settings.lr, rho=settings.memory)
