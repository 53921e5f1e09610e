"""SGD with Nesterov's momentum (Sutskever et al. 2013)."""

from dataclasses import dataclass

import torch

from train import optim


@dataclass(frozen=True)
class Settings(optim.Settings):
    """See torch.optim.SGD."""

    lr: float = 0.05  # peak learning rate
    momentum: float = 0.9  # of the steps; 0 = none, plain descent

    def __post_init__(self) -> None:
        super().__post_init__()
        optim.check_memories(self, "momentum")


def build(groups: list[dict], settings: Settings) -> torch.optim.Optimizer:
    """SGD over the groups."""
    return torch.optim.SGD(groups, lr=settings.lr, momentum=settings.momentum, nesterov=settings.momentum > 0)
