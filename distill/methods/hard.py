"""Hard targets: CTC against the string that the teacher reads (sequence distillation with one hypothesis).

Works for any L and without labels. An empty reading is a target too, the path of blanks; a reading that the
student's steps cannot spell costs 0.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from distill.teachers import Lesson
from train.ctc import ctc_loss
from train.decode import greedy
from train.models import Output


@dataclass
class Settings:
    """Weight in the total, and which readings count."""

    weight: float = 0.5  # share of the total loss
    confidence: float = 0.0  # readings less sure than this, 0 to 1, teach nothing


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"strings"})

    def __init__(self, settings: Settings, task: Any) -> None:
        super().__init__()
        self.confidence = settings.confidence

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """CTC in nats per sample, [N]."""
        readings, device = greedy(lesson.log_probs), output.logits.device
        symbols = torch.tensor([c for r in readings for c in r.symbols], dtype=torch.int64, device=device)
        lengths = torch.tensor([len(r.symbols) for r in readings], dtype=torch.int64, device=device)
        sure = torch.tensor([r.confidence >= self.confidence for r in readings], device=device)
        return torch.where(sure, ctc_loss(output.logits, symbols, lengths), 0.0)
