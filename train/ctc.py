"""CTC (Graves et al. 2006) as a loss per sample, and the question whether a label fits at all.

Letters: N samples, L time steps, C classes; class 0 is the blank.
Labels are concatenated: symbols [sum], lengths [N].
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from train.charset import Charset
from train.models import Output

VARIES = ("cuda",)  # kinds of device on which the backward pass adds up in no fixed order


def ctc_loss(logits: Tensor, symbols: Tensor, lengths: Tensor, steps: Tensor | None = None) -> Tensor:
    """Negative log-likelihood in nats per sample [N], fp32; a label that does not fit costs and pulls 0.

    logits [N,L,C] in any precision, normalised here; symbols int64 [sum]; lengths int64 [N]; steps int64 [N]:
    how many of the L are each sample's, None: all.
    """
    with torch.autocast(logits.device.type, enabled=False):
        log_probs = logits.float().log_softmax(-1).transpose(0, 1)  # [L,N,C], as torch wants it
        frames = torch.full_like(lengths, logits.shape[1]) if steps is None else steps
        return functional.ctc_loss(
            log_probs, symbols, frames, lengths, blank=Charset.BLANK, reduction="none", zero_infinity=True
        )


def needed_frames(symbols: Tensor | np.ndarray, lengths: Tensor | np.ndarray) -> Tensor:
    """The fewest time steps that can spell each label [N]: its length and blanks between equal neighbours."""
    symbols, lengths = torch.as_tensor(symbols), torch.as_tensor(lengths)
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    double = (symbols[1:] == symbols[:-1]) & (owner[1:] == owner[:-1])
    return lengths + torch.zeros_like(lengths).index_add_(0, owner[1:], double.to(lengths.dtype))


def fits(output: Output, symbols: Tensor, lengths: Tensor) -> Tensor:
    """Whether each sample's own steps can spell its label, bool [N]."""
    return needed_frames(symbols, lengths) <= output.own_steps
