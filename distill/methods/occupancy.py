"""Occupancies: KL from the teacher's alignment of the true label to the student, step against step.

Unlike its answer, the alignment is right where the teacher reads wrongly: gamma is the probability of each
class at each step given the label. Rows that are all zero, those of samples whose label is not usable or does
not fit into the teacher's steps, cost 0; so do samples whose own steps cannot spell their label.
"""

import torch
from torch import Tensor, nn

from distill.lesson import Lesson
from distill.methods import Sides, Weighted
from shards.errors import BadSettings
from train.ctc import fits
from train.models import Output

PAPER = "Graves et al. 2006 (forward-backward occupancies), as targets"
FORMULA = "mean_t KL(gamma_t, p_s), gamma_t = p_t - d CTC_t / d z_t"


Settings = Weighted


class Method(nn.Module):
    """See distill.methods."""

    needs = frozenset({"occupancy"})

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        teacher, student = sides.teacher.frames, sides.student.frames
        if teacher != student:
            raise BadSettings(
                f"method.occupancy: the student has L = {student} steps, the teacher {teacher}; "
                "it compares step against step: method=sequence works for any L"
            )

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The mean over the steps of KL(gamma, student) in nats, [N]."""
        if lesson.occupancy is None:
            raise ValueError("method.occupancy: the lesson holds no occupancy")
        with torch.autocast(output.logits.device.type, enabled=False):
            gamma, student = lesson.occupancy.float(), output.logits.float().log_softmax(-1)
            # 0 log 0 = 0, and a row of zeros costs nothing
            term = (torch.xlogy(gamma, gamma) - gamma * student).sum(-1).mean(-1)
        targets = lesson.batch.targets
        return torch.where(fits(output, targets.symbols, targets.lengths), term, 0.0)
