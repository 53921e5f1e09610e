"""Hard targets step by step: cross-entropy against the teacher's best class of every step.

Pseudo-labels of an alignment: what is learnt is where the teacher's spikes stand, nothing of its doubts.
Needs equal L; most steps of a CTC teacher say blank. `hard` learns the string and leaves the steps free.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from train.models import Output

PAPER = "Lee 2013 (pseudo-labels), step by step"
FORMULA = "-mean_t log p_s(argmax_c p_t(c))"


Settings = Weighted


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"frames"})

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """Mean over the steps of the cross-entropy in nats, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            logits = output.logits.float().transpose(1, 2)  # [N,C,L], as torch wants it
            return functional.cross_entropy(logits, lesson.log_probs.argmax(-1), reduction="none").mean(-1)
