"""AdamW (Loshchilov, Hutter 2019): Adam whose weight decay stays out of the gradient's moments."""

from dataclasses import dataclass

import torch

from train import optim


@dataclass(frozen=True)
class Settings(optim.Settings):
    """See torch.optim.AdamW."""

    beta1: float = 0.9  # memory of the gradient
    beta2: float = 0.99  # memory of its square

    def __post_init__(self) -> None:
        super().__post_init__()
        optim.check_memories(self, "beta1", "beta2")


def build(groups: list[dict], settings: Settings) -> torch.optim.Optimizer:
    """AdamW over the groups."""
    return torch.optim.AdamW(groups, lr=settings.lr, betas=(settings.beta1, settings.beta2), fused=True)
