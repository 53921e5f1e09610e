"""How a label lies in time: the probability of each class at each step, given the label.

gamma = p - d(CTC)/dz, from one backward pass of the CTC summed over the batch (Graves et al. 2006);
in double precision, since huge scores cancel. Runs under no_grad and inference_mode too.
Letters: N samples, T time steps, C classes; class 0 is the blank.
"""

import torch
from torch import Tensor
from torch.nn import functional

from train.charset import Charset

EXCLUDED = -1e9  # stands for -inf, whose gradient is NaN; finite log-probabilities are far above it


def occupancy(
    log_probs: Tensor,
    symbols: Tensor,
    lengths: Tensor,
    usable: Tensor | None = None,
    own: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """gamma float32 [N,T,C], rows at least 0 that sum to 1; feasible bool [N]: whether a label aligns.

    log_probs [N,T,C]; labels concatenated: symbols int64 [sum], lengths int64 [N]; usable bool [N] (or all);
    own int64 [N]: how many of the T are each sample's (or all), the others being blank for certain.
    gamma is p itself where a label is not usable or no path spells it, 0 for classes that the label lacks.
    """
    with torch.inference_mode(False), torch.enable_grad():
        # Copies: tensors made in inference mode take no part in a backward pass.
        scores = log_probs.detach().double().clamp(min=EXCLUDED).requires_grad_()
        symbols, lengths = symbols.clone(), lengths.clone()
        rows = scores.log_softmax(-1)
        steps = torch.full_like(lengths, scores.shape[1]) if own is None else own.clone()
        loss = functional.ctc_loss(
            rows.transpose(0, 1), symbols, steps, lengths, blank=Charset.BLANK, reduction="none"
        )
        feasible = loss.detach() < -EXCLUDED
        (pull,) = torch.autograd.grad(torch.where(feasible, loss, 0.0).sum(), scores)
        p = rows.detach().exp()
    if usable is not None:
        feasible = feasible & usable
    # Rounding leaves up to 1e-7 where there is nothing, on either side of 0.
    gamma = (p - pull).clamp(min=0) * _present(symbols, lengths, scores.shape[-1])[:, None]
    gamma = gamma / gamma.sum(-1, keepdim=True)
    return torch.where(feasible[:, None, None], gamma, p).float(), feasible


def _present(symbols: Tensor, lengths: Tensor, classes: int) -> Tensor:
    """Whether a label can pass through a class, bool [N,C]: its symbols and the blank."""
    out = torch.zeros(len(lengths), classes, dtype=torch.bool, device=lengths.device)
    owner = torch.repeat_interleave(torch.arange(len(lengths), device=lengths.device), lengths)
    out[owner, symbols] = True
    out[:, Charset.BLANK] = True
    return out
