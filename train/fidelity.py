"""How close answers are to a teacher's (Stanton et al. 2021 call it fidelity), step by step.

Letters: N samples, T time steps, C classes; class 0 is the blank.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from shards.loader import Batch
from train import metrics
from train.charset import Charset
from train.modelfolder import Loaded
from train.models import answer

MEASURES = {
    "agreement": "steps with the same best class",
    "kl": "KL(teacher, student), nats per step",
    "blank": "steps on which both say blank, or both do not",
    "peak_shift": "steps from a spike of the teacher to the student's",
}


def of(student: Tensor, teacher: Tensor) -> dict[str, Tensor]:
    """Log-probabilities [N,T,C] of both to the MEASURES of each sample, [N]; no gradient passes."""
    student, teacher = student.detach().float(), teacher.detach().float()
    mine, theirs = student.argmax(-1), teacher.argmax(-1)
    kl = (teacher.exp() * (teacher - student)).nan_to_num(0.0, 0.0, 0.0).sum(-1)
    blank = (mine == Charset.BLANK) == (theirs == Charset.BLANK)
    return {
        "agreement": (mine == theirs).float().mean(1),
        "kl": kl.mean(1),
        "blank": blank.float().mean(1),
        "peak_shift": peak_shift(mine, theirs),
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


def obstacle(student: Loaded, teacher: Loaded) -> str:
    """Why the steps of two models cannot be compared; empty where they can."""
    mine, theirs = (getattr(one.task, "charset", None) for one in (student, teacher))
    if mine is None or theirs is None:
        return f"task {student.config['task']['name']} does not answer in characters step by step"
    if mine.characters != theirs.characters:
        return f"characters are {mine.characters!r} here, {theirs.characters!r} of the teacher"
    if student.model.frames != teacher.model.frames:
        return f"steps: {student.model.frames} here, {teacher.model.frames} of the teacher"
    return ""


def measure(
    student: Loaded, teacher: Loaded, own: Iterable[Batch], its: Iterable[Batch], seed: int = 0
) -> dict[str, Any]:
    """{measure: its mean over all samples that could be read, with a 95 % interval, "n": how many}.

    own, its: the same samples in the same batches as the student and the teacher see them.
    """
    rows: dict[str, list[Tensor]] = {name: [] for name in MEASURES}
    with torch.inference_mode():
        for mine, theirs in zip(own, its, strict=True):
            valid = mine.valid & theirs.valid
            answers = (_answer(student, mine), _answer(teacher, theirs))
            for name, values in of(*answers).items():
                rows[name].append(values[valid].cpu())
    values = {name: torch.cat(found).double().numpy() for name, found in rows.items()}
    return {**metrics.means(values, seed), "n": len(values["agreement"])}


def _answer(one: Loaded, batch: Batch) -> Tensor:
    return answer(one.model, batch).logits.float().log_softmax(-1)
