"""Self-distilled CTC: every step learns the class that the model's own alignment of the label puts there."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from shards.typed import check_ranges
from train.models import Output
from train.occupancy import occupancy

PAPER = "Zhang et al. 2023, Self-distillation regularized CTC loss (arXiv 2308.08806)"
FORMULA = "weight x -sum_t log p_t(k_t), k_t the likeliest class of step t given the label, a constant"


@dataclass
class Settings:
    """Its share."""

    weight: float = 0.05  # of the term, which is added to the loss; the paper's are .02 to .1

    def __post_init__(self) -> None:
        check_ranges(self, "loss.dctc.", weight=(0.0, math.inf))


class Loss(nn.Module):
    """Labels that no path spells take no part."""

    def __init__(self, settings: Settings, task: Any, features: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, loss: Tensor, output: Output, targets: Any) -> dict[str, Tensor]:
        """The loss with the term added [N]; `dctc` is the term."""
        log_probs = output.logits.float().log_softmax(-1)
        labels = targets.symbols, targets.lengths, targets.usable
        gamma, feasible = occupancy(log_probs, *labels, output.own_steps)
        chosen = log_probs.gather(-1, gamma.argmax(-1, keepdim=True))[..., 0]  # [N,L]
        term = torch.where(feasible, -chosen.sum(-1), 0.0)
        return {"task": loss + self.settings.weight * term, "dctc": term}
