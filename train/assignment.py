"""Which cells learn which word: task-aligned assignment (Feng et al. 2021, TOOD), for whole batches at once.

Letters: N samples, M words of a sample (filled up to the most), L cells.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from train.ciou import iou

CELLS = 10  # at most, that learn one word
SHARPNESS = 6.0  # of the overlap against the score, in how well a cell is aligned with a word


@dataclass(frozen=True, slots=True)
class Assigned:
    """word int64 [N,L]: whose a cell is (0 where it is nobody's); found bool [N,L]: whether it is somebody's;
    aim float [N,L]: the score that it should answer, 0..1.
    """

    word: Tensor
    found: Tensor
    aim: Tensor


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, centres: Tensor, strides: Tensor, words: Tensor, real: Tensor
) -> Assigned:
    """scores [N,L] in 0..1 and boxes [N,L,4] as answered; centres [L,2] and strides [L] of the cells; words
    [N,M,4] boxes, real bool [N,M]: which of them are words to be found.

    A word is learnt by the cells that already answer it best among those whose centre lies in it, or, of a
    word smaller than a cell, next to its middle; a cell that several claim, by the one it overlaps most.
    """
    inside = _inside(centres, strides, words) & real[..., None]  # [N,M,L]
    overlap = torch.where(inside, iou(words[:, :, None], boxes[:, None]), 0.0)
    aligned = torch.where(inside, scores[:, None].sqrt() * overlap.pow(SHARPNESS), -1.0)
    best = aligned.topk(min(CELLS, aligned.shape[-1]), -1)
    chosen = torch.zeros_like(inside).scatter_(-1, best.indices, best.values >= 0)
    claims = torch.where(chosen, overlap, -1.0)
    most, word = claims.max(1)
    found = most >= 0
    mine = chosen & (word[:, None] == torch.arange(words.shape[1], device=word.device)[:, None])
    aligned, overlap = aligned * mine, overlap * mine
    top = aligned.amax(-1, keepdim=True).clamp(min=1e-12)
    aims = aligned / top * overlap.amax(-1, keepdim=True)
    return Assigned(torch.where(found, word, 0), found, torch.where(found, aims.amax(1).clamp(0, 1), 0.0))


def _inside(centres: Tensor, strides: Tensor, words: Tensor) -> Tensor:
    """Whether the centre of each cell lies in each word, grown to at least a cell: bool [N,M,L]."""
    middle, half = (words[..., :2] + words[..., 2:]) / 2, (words[..., 2:] - words[..., :2]) / 2
    reach = torch.maximum(half[:, :, None], strides[:, None] / 2)  # [N,M,L,2]
    return ((centres - middle[:, :, None]).abs() <= reach).all(-1)
