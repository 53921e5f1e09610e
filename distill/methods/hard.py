"""Hard targets: CTC against the string that the teacher reads (sequence distillation with one hypothesis).

Works for any L and without labels. An empty reading is a target too, the path of blanks; a reading that the
student's own steps cannot spell costs 0.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.typed import check_ranges
from train.ctc import ctc_loss
from train.decode import greedy
from train.models import Output

PAPER = "Kim, Rush 2016 (sequence level, one hypothesis)"
FORMULA = "CTC(student, what the teacher reads)"


@dataclass
class Settings(Weighted):
    """Which readings count."""

    confidence: float = 0.0  # readings less sure than this, 0 to 1, teach nothing

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, "method.hard.", confidence=(0, 1))


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"answers"})

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.confidence = settings.confidence

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """CTC in nats per sample, [N]."""
        readings, device = greedy(lesson.log_probs), output.logits.device
        symbols = torch.tensor([c for r in readings for c in r.symbols], dtype=torch.int64, device=device)
        lengths = torch.tensor([len(r.symbols) for r in readings], dtype=torch.int64, device=device)
        sure = torch.tensor([r.confidence >= self.confidence for r in readings], device=device)
        return torch.where(sure, ctc_loss(output.logits, symbols, lengths, output.steps), 0.0)
