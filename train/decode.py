"""From what a recogniser answers to readings: the best path, collapsed.

Letters: N samples, L time steps, C classes; class 0 is the blank.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from train.charset import Charset


@dataclass(frozen=True, slots=True)
class Reading:
    """Collapsed class indices (no blank) and the confidence in 0..1."""

    symbols: tuple[int, ...]
    confidence: float


def greedy(logits: Tensor) -> list[Reading]:
    """The best class of every step, repeats merged, blanks dropped; logits or log-probabilities [N,L,C].

    Confidence: the product of the probabilities at the steps that were kept, the first of each run. An empty
    reading kept none; its confidence is that of the path of blanks, the only one that spells it.
    """
    score, best = logits.detach().float().log_softmax(-1).max(-1)
    kept = best != Charset.BLANK
    kept[:, 1:] &= best[:, 1:] != best[:, :-1]
    counts = kept.sum(1)
    total = torch.where(kept | (counts == 0)[:, None], score, 0.0).sum(1).exp()
    flat = best[kept].tolist()
    readings, start = [], 0
    for count, confidence in zip(counts.tolist(), total.tolist(), strict=True):
        readings.append(Reading(tuple(flat[start : start + count]), confidence))
        start += count
    return readings
