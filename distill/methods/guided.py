"""Guided CTC (Kurata, Audhkhasi 2019): the student's spikes are drawn to the steps of the teacher's.

A guide for other terms: afterwards step against step compares the same letters, and several teachers agree.
Steps where the teacher's best class is the blank guide nothing. A sum, as in the paper, of the size of the
CTC beside it: at least minus the number of spikes.
"""

import torch
from torch import Tensor, nn

from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from train.charset import Charset
from train.models import Output

PAPER = "Kurata, Audhkhasi 2019 (guiding CTC posterior spikes)"
FORMULA = "-sum_t [k_t is no blank] p_s(k_t), k_t = argmax_c p_t(c)"


Settings = Weighted


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"frames"})

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """Minus the student's probability at the teacher's spikes, summed over the steps, [N]."""
        with torch.autocast(output.logits.device.type, enabled=False):
            best = lesson.log_probs.argmax(-1, keepdim=True)
            told = output.logits.float().softmax(-1).gather(-1, best)
            return -torch.where(best != Charset.BLANK, told, 0.0).sum((1, 2))
