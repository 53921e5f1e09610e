"""Overlap of upright boxes as a loss: complete IoU (Zheng et al. 2020).

Boxes are (left, top, right, bottom); shapes broadcast over all but the last axis.
"""

import math

import torch
from torch import Tensor

TINY = 1e-7


def iou(one: Tensor, other: Tensor) -> Tensor:
    """Area shared / area of both, 0..1; 0 where both are empty."""
    shared, both, _ = _areas(one, other)
    return shared / (both + TINY)


def ciou(one: Tensor, other: Tensor) -> Tensor:
    """IoU - squared distance of centres / squared diagonal of the hull - a v, v the difference of aspects.

    At most 1, where the boxes are equal; `a` carries no gradient, as in the paper.
    """
    shared, both, diagonal = _areas(one, other)
    overlap = shared / (both + TINY)
    centres = (one[..., :2] + one[..., 2:] - other[..., :2] - other[..., 2:]) / 2
    (w, h), (v, g) = ((b[..., 2:] - b[..., :2]).clamp(min=TINY).unbind(-1) for b in (one, other))
    aspect = 4 / math.pi**2 * (torch.atan(w / h) - torch.atan(v / g)).square()
    with torch.no_grad():
        share = aspect / (1 - overlap + aspect + TINY)
    return overlap - centres.square().sum(-1) / (diagonal + TINY) - share * aspect


def _areas(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What two boxes share, what they cover together, and the squared diagonal of the box around both."""
    low, high = torch.maximum(one[..., :2], other[..., :2]), torch.minimum(one[..., 2:], other[..., 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).clamp(min=0).prod(-1) for b in (one, other)]
    around = torch.maximum(one[..., 2:], other[..., 2:]) - torch.minimum(one[..., :2], other[..., :2])
    return shared, areas[0] + areas[1] - shared, around.square().sum(-1)
