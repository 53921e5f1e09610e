"""Focal CTC: labels that are read already count less."""

import math
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from shards.typed import check_ranges
from train.models import Output

PAPER = "Feng, Yao, Zhang 2019, Focal CTC loss for Chinese OCR on unbalanced datasets"
FIRST = True  # p = exp(-loss) holds of the task's own loss alone
FORMULA = "alpha (1 - p)^gamma (-log p), with p the probability of the label"


@dataclass
class Settings:
    """How strongly."""

    alpha: float = 1.0  # scale of the whole loss
    gamma: float = 2.0  # 0 = plain CTC

    def __post_init__(self) -> None:
        check_ranges(self, "loss.focal.", alpha=(1e-6, math.inf), gamma=(0.0, 20.0))


class Loss(nn.Module):
    """See FORMULA; p = exp(-loss)."""

    def __init__(self, settings: Settings, task: Any, features: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        self.settings = settings

    def forward(self, loss: Tensor, output: Output, targets: Any) -> dict[str, Tensor]:
        """The weighted loss [N]; `ctc`, the plain one, is watched."""
        missed = -(-loss).expm1()  # 1 - p, exact for small losses
        # at a loss of 0 the power's derivative is infinite for gamma < 1, and there is nothing to learn
        weight = missed.clamp(min=1e-12) ** self.settings.gamma
        return {"task": self.settings.alpha * weight * loss, "ctc": loss.detach()}
