"""Suppression: of candidates that overlap, the one of the highest score stays; exact, of boxes or quads.

A candidate falls if a kept one of a higher score overlaps it by more than `iou`; of equal scores the earlier
is the higher. Candidates without area, or with a value that is not finite, are never kept. A quad stands for
the convex hull of its corners, whatever their order. No gradient passes.
Letters: N and M candidates, K kept ones.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from train.overlap import areas, convex_overlap, hulls

BLOCK = 1024  # candidates looked at together
Measure = Callable[[Tensor, Tensor], Tensor]  # [N,...], [M,...] -> IoU [N,M]


def iou_matrix(a: Tensor, b: Tensor) -> Tensor:
    """IoU [N,M] of boxes [N,4] and [M,4] as (left, top, right, bottom); 0 where a box has no area."""
    shared = _shared(a, b)
    return shared / (_sizes(a)[:, None] + _sizes(b)[None] - shared).clamp(min=torch.finfo(shared.dtype).tiny)


def iou_quads(a: Tensor, b: Tensor) -> Tensor:
    """IoU float64 [N,M] of the hulls of quads [N,4,2] and [M,4,2]; 0 where a hull has no area."""
    return _iou_hulls(hulls(a.double()), hulls(b.double()))


def nms(boxes: Tensor, scores: Tensor, iou: float, limit: int) -> Tensor:
    """Indices int64 [K], K <= limit, of the boxes [N,4] that stay, by falling score [N].

    boxes: (left, top, right, bottom).
    """
    boxes = boxes.detach().to(torch.promote_types(boxes.dtype, torch.float32))
    there = boxes.isfinite().all(1) & (_sizes(boxes) > 0)
    return _greedy(boxes, scores, there, iou_matrix, iou, limit)


def nms_quads(quads: Tensor, scores: Tensor, iou: float, limit: int) -> Tensor:
    """Indices int64 [K], K <= limit, of the quads [N,4,2] that stay, by falling score [N]."""
    rings = hulls(quads.detach().double())
    there = rings.isfinite().flatten(1).all(1) & (areas(rings) > 0)
    return _greedy(rings, scores, there, _iou_hulls, iou, limit)


def _greedy(
    shapes: Tensor, scores: Tensor, there: Tensor, measure: Measure, iou: float, limit: int
) -> Tensor:
    """Block by block: what a kept one suppresses goes first, then the others are settled among themselves."""
    scores = scores.detach()
    able = (there & scores.isfinite()).nonzero()[:, 0]
    order = able[scores[able].argsort(descending=True, stable=True)]
    kept = order[:0]
    for block in order.split(BLOCK):
        if len(kept) >= limit:
            break
        free = block[~(measure(shapes[kept], shapes[block]) > iou).any(0)]
        above = (measure(shapes[free], shapes[free]) > iou).triu(1)  # [i,j]: i would suppress j
        kept = torch.cat([kept, free[_settled(above)]])
    return kept[:limit]


def _settled(above: Tensor) -> Tensor:
    """Which of [N] stay where i suppresses j if it stays itself; the first n are right after n rounds."""
    stays = torch.ones(len(above), dtype=torch.bool, device=above.device)
    while not torch.equal(stays, now := ~(above & stays[:, None]).any(0)):
        stays = now
    return stays


def _sizes(boxes: Tensor) -> Tensor:
    """Areas [N] of boxes, 0 of those turned inside out."""
    return (boxes[:, 2:] - boxes[:, :2]).clamp(min=0).prod(1)


def _shared(a: Tensor, b: Tensor) -> Tensor:
    """Areas [N,M] that boxes share."""
    top_left = torch.maximum(a[:, None, :2], b[None, :, :2])
    return (torch.minimum(a[:, None, 2:], b[None, :, 2:]) - top_left).clamp(min=0).prod(2)


def _iou_hulls(a: Tensor, b: Tensor) -> Tensor:
    """IoU [N,M] of convex clockwise quads; only those whose upright boxes meet are clipped."""
    out = a.new_zeros(len(a), len(b))
    i, j = (_shared(_boxes(a), _boxes(b)) > 0).nonzero(as_tuple=True)
    shared, sizes = convex_overlap(a[i], b[j]), areas(a)[i] + areas(b)[j]
    out[i, j] = shared / (sizes - shared).clamp(min=torch.finfo(out.dtype).tiny)
    return out


def _boxes(corners: Tensor) -> Tensor:
    """Upright boxes [N,4] around [N,V,2]."""
    return torch.cat([corners.amin(1), corners.amax(1)], 1)
