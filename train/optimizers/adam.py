"""Adam (Kingma, Ba 2015): steps of the gradient's mean over the root of its mean square."""

from dataclasses import dataclass

import torch

from train.optimizers import adamw


@dataclass(frozen=True)
class Settings(adamw.Settings):
    """See torch.optim.Adam."""

    beta2: float = 0.999  # memory of its square


def build(groups: list[dict], settings: Settings) -> torch.optim.Optimizer:
    """Adam over the groups."""
    return torch.optim.Adam(groups, lr=settings.lr, betas=(settings.beta1, settings.beta2), fused=True)
