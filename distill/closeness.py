"""How close a student's answers are to its teacher's (Stanton et al. 2021 call it fidelity), step by step.

Letters: N samples, T time steps, C classes; class 0 is the blank.
"""

import torch
from torch import Tensor

from distill.lesson import Lesson
from train.charset import Charset
from train.models import Output


def of(output: Output, lesson: Lesson) -> dict[str, Tensor]:
    """Of each sample [N]: top-1 agreement of the steps, KL(teacher, student) in nats per step, agreement on
    which steps are blank, and by how many steps the student's spikes lie off; nothing where steps cannot be
    compared.
    """
    if output.logits.shape != lesson.log_probs.shape:
        return {}
    with torch.no_grad():
        teacher, student = lesson.log_probs.float(), output.logits.detach().float().log_softmax(-1)
        mine, theirs = student.argmax(-1), teacher.argmax(-1)
        kl = (teacher.exp() * (teacher - student)).nan_to_num(0.0, 0.0, 0.0).sum(-1)
        blank = (mine == Charset.BLANK) == (theirs == Charset.BLANK)
        return {
            "fidelity/agreement": (mine == theirs).float().mean(1),
            "fidelity/kl": kl.mean(1),
            "fidelity/blank": blank.float().mean(1),
            "fidelity/peak_shift": peak_shift(mine, theirs),
        }


def peak_shift(mine: Tensor, theirs: Tensor) -> Tensor:
    """Mean distance in steps from each spike of the teacher to the nearest step [N,T] where the student says
    the same class; a spike that the student has nowhere counts as the whole width. 0 without spikes.
    """
    steps = mine.shape[1]
    at = torch.arange(steps, device=mine.device)
    far = (at[:, None] - at[None]).abs().float()  # [T of the teacher, T of the student]
    same = theirs[:, :, None] == mine[:, None]
    nearest = torch.where(same, far, float(steps)).amin(-1)
    spikes = theirs != Charset.BLANK
    return torch.where(spikes, nearest, 0.0).sum(1) / spikes.sum(1).clamp(min=1)
