"""Sequence distillation (Kim, Rush 2016; Takashima et al. 2018): CTC against the teacher's best readings.

Works for any L and without labels. Readings that the student's steps cannot spell are dropped, `dropped`
counts them, and the weights of the others sum to 1; a sample without any costs 0.
Letters as in distill.lesson; D = S + 1.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from distill.lesson import Hypotheses, Lesson
from distill.methods import Sides, Weighted
from shards.errors import BadSettings
from train.ctc import ctc_loss, needed_frames
from train.models import Output

PAPER = "Kim, Rush 2016; Takashima, Li, Kawai 2018 (sequence level, n best)"
FORMULA = "sum_i w_i CTC(student, h_i), w = softmax_i(log p_t(h_i) / tau)"


@dataclass
class Settings(Weighted):
    """The temperature, and a share that leaves the label the larger part."""

    weight: float = 0.3  # share of the total loss
    temperature: float = 1.0  # of the readings' weights: above 1 evens them out

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.temperature <= 0:
            raise BadSettings(f"method.sequence.temperature: {self.temperature}, must be above 0")


class Method(nn.Module):
    """See distill.methods. `dropped` int64 []: hypotheses that did not fit, in the last batch."""

    needs = frozenset({"nbest"})

    def __init__(self, settings: Settings, sides: Sides) -> None:
        super().__init__()
        self.tau = settings.temperature
        self.dropped = torch.zeros((), dtype=torch.int64)

    def forward(self, output: Output, lesson: Lesson) -> Tensor:
        """The weighted CTC in nats, [N]."""
        if lesson.nbest is None:
            raise ValueError("method.sequence: the lesson holds no hypotheses")
        fits = fitting(lesson.nbest, output.own_steps)
        self.dropped = ((lesson.nbest.lengths >= 0) & ~fits).sum()
        with torch.autocast(output.logits.device.type, enabled=False):
            losses = ctc_losses(output.logits, lesson.nbest, fits)
            return (weights(lesson.nbest.log_probs, fits, self.tau) * losses).sum(1)


def fitting(nbest: Hypotheses, steps: Tensor) -> Tensor:
    """Which hypotheses there are that a sample's own steps, int64 [N], can spell, bool [N,B]."""
    lengths, symbols = nbest.lengths.clamp(min=0), nbest.symbols
    inside = torch.arange(symbols.shape[-1], device=symbols.device) < lengths[..., None]
    needed = needed_frames(symbols[inside], lengths.flatten()).view_as(lengths)
    return (nbest.lengths >= 0) & (needed <= steps[:, None])


def weights(log_probs: Tensor, fits: Tensor, tau: float) -> Tensor:
    """Of the hypotheses of a sample, float32 [N,B]: 0 where dropped, else summing to 1."""
    scores = (log_probs.float() / tau).clamp(min=-1e30).masked_fill(~fits, -torch.inf)
    return torch.where(fits, scores.softmax(-1), 0.0)


def ctc_losses(logits: Tensor, nbest: Hypotheses, fits: Tensor) -> Tensor:
    """CTC of every hypothesis, float32 [N,B]; 0 where it does not fit.

    Only the classes of a hypothesis are copied, N B L D numbers instead of N B L C. With s_t the log of their
    summed probability at a step, CTC over the classes renormalised is too small by -sum_t s_t.
    """
    samples, frames, _ = logits.shape
    columns = torch.cat([torch.zeros_like(nbest.symbols[..., :1]), nbest.symbols], -1)  # [N,B,D], blank first
    index = columns.flatten(1)[:, None].expand(-1, frames, -1)
    few = logits.float().log_softmax(-1).gather(-1, index).view(samples, frames, *columns.shape[1:])
    few = few.transpose(1, 2).flatten(0, 1)  # [N B, L, D]
    # A symbol's new class is its first column, so that equal neighbours stay equal.
    renamed = (columns[..., :, None] == columns[..., None, :]).int().argmax(-1)[..., 1:]
    lengths = torch.where(fits, nbest.lengths, 0)
    inside = torch.arange(renamed.shape[-1], device=lengths.device) < lengths[..., None]
    losses = ctc_loss(few, renamed[inside], lengths.flatten()) - few.logsumexp(-1).sum(-1)
    return torch.where(fits, losses.view_as(lengths), 0.0)
