"""Aggregated cross-entropy beside CTC: how often each class appears, wherever it stands."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from shards.typed import check_ranges
from train.blocks.heads import inside
from train.charset import Charset
from train.ctc import fits
from train.models import Output

PAPER = "Xie et al. 2019, Aggregation cross-entropy for sequence recognition (arXiv 1904.08364)"
FORMULA = "weight x -sum_c (n_c / L) log(mean_t p_t(c)), n_c how often the label has c, n_blank the rest of L"


@dataclass
class Settings:
    """Its share."""

    weight: float = 0.1  # of the term, which is added to the loss

    def __post_init__(self) -> None:
        check_ranges(self, "loss.ace.", weight=(0.0, math.inf))


class Loss(nn.Module):
    """L is each sample's own steps; labels that these cannot spell take no part."""

    def __init__(self, settings: Settings, task: Any, features: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, loss: Tensor, output: Output, targets: Any) -> dict[str, Tensor]:
        """The loss with the term added [N]; `ace` is the term."""
        steps, lengths = output.own_steps, targets.lengths
        own = inside(steps, output.logits.shape[1])[..., None]
        mean = (output.logits.float().log_softmax(-1).exp() * own).sum(1) / steps[:, None]  # [N,C]
        counts = torch.zeros_like(mean)
        owner = torch.repeat_interleave(torch.arange(len(lengths), device=mean.device), lengths)
        counts.index_put_((owner, targets.symbols), torch.ones_like(owner, dtype=mean.dtype), accumulate=True)
        counts[:, Charset.BLANK] = (steps - lengths).clamp(min=0)
        term = -(counts / steps[:, None] * mean.clamp(min=1e-12).log()).sum(-1)
        term = torch.where(targets.usable & fits(output, targets.symbols, lengths), term, 0.0)
        return {"task": loss + self.settings.weight * term, "ace": term}
