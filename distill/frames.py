"""Answers step by step: rows of log-probabilities, what lies between two rows, and which steps count.

A mask [N,L] holds the weight of each step, 0 to 1; it comes from the teacher alone:
- all: every step; non-blank: steps whose best class is not the blank;
- symmetric: steps at most `reach` away from a non-blank one (reach 0 is non-blank);
- soft: by how little of a blank the teacher sees, but never below FAINT.
Letters: N samples, L time steps, C classes; class 0 is the blank.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from shards.errors import BadSettings
from shards.lookup import unknown
from train.charset import Charset

TEMPERATURES, WEIGHTS = (0.01, math.inf), (0.0, math.inf)  # what settings take
MASKS = ("all", "non-blank", "symmetric", "soft")
FAINT = 0.05  # the least weight of a step under soft
EPS = 1e-6  # no steps at all have a mean of 0


def rows(answers: Tensor, tau: float = 1.0) -> Tensor:
    """Logits or log-probabilities [...,C] as log-probabilities at temperature tau, fp32."""
    return (answers.float() / tau).log_softmax(-1)


def kl(teacher: Tensor, student: Tensor) -> Tensor:
    """KL(teacher, student) in nats of log-probabilities [...,C]: [...]."""
    return (teacher.exp() * (teacher - student)).sum(-1)


def split(log_probs: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Log-probabilities [...,C] as two questions: is it the target or not [...,2], and if not, which other
    class [...,C-1]. target: a class for every row, int64 [...].
    """
    target = target.unsqueeze(-1)
    classes = torch.arange(log_probs.shape[-1] - 1, device=log_probs.device)
    others = log_probs.gather(-1, classes + (classes >= target))
    # the sum of the others by logsumexp: 1 - p(target) is 0 in fp32 where the row is peaky
    binary = torch.cat((log_probs.gather(-1, target), others.logsumexp(-1, keepdim=True)), -1)
    return binary, others.log_softmax(-1)


def blanks(log_probs: Tensor) -> Tensor:
    """The blank as the target of every row, for `split`."""
    return torch.full_like(log_probs[..., 0], Charset.BLANK, dtype=torch.int64)


def mask(kind: str, log_probs: Tensor, reach: int = 0) -> Tensor:
    """The weight of each step [N,L] for the teacher's log-probabilities [N,L,C]; kinds as above."""
    if kind == "all":
        return torch.ones_like(log_probs[..., 0])
    if kind == "soft":
        return split(log_probs, blanks(log_probs))[0][..., 1].exp().clamp(min=FAINT)
    spikes = (log_probs.argmax(-1) != Charset.BLANK).float()
    reach = reach if kind == "symmetric" else 0
    return functional.max_pool1d(spikes[:, None], 2 * reach + 1, stride=1, padding=reach)[:, 0]


def masked_mean(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean along the last axis; 0 where all weights are 0."""
    return (weights * values).sum(-1) / weights.sum(-1).clamp(min=EPS)


def check_mask(method: str, kind: str, reach: int) -> None:
    """Refuses a mask that does not exist, and a reach below 0."""
    if kind not in MASKS:
        raise BadSettings(unknown(f"method.{method}.mask", kind, list(MASKS)))
    if reach < 0:
        raise BadSettings(f"method.{method}.reach: {reach}, must be at least 0")
