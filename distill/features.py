"""Features of both sides: which there are, in one layout, of which samples they count, how far they differ.

Letters: N samples, L time steps, D numbers per position, h w positions of a map, P positions of any kind.
"""

import torch
from torch import Tensor

from distill.lesson import Lesson
from distill.methods import Shapes
from shards.errors import BadSettings
from shards.lookup import unknown

FLAT = 1e-6  # a channel that varies by less is constant


def shape(side: str, shapes: Shapes, key: str, tap: str) -> tuple[int, ...]:
    """The shape of a tap of one sample: (L, D) or (D, h, w); side: teacher or student, key: who names it."""
    if tap not in shapes.features:
        raise BadSettings(unknown(f"{key}: the {side}'s features", tap, sorted(shapes.features)))
    return shapes.features[tap]


def channels_first(feature: Tensor) -> Tensor:
    """[N,L,D] to [N,D,L], [N,D,h,w] as it is, fp32."""
    return feature.float().transpose(1, 2) if feature.dim() == 3 else feature.float()


def counted(lesson: Lesson) -> Tensor:
    """The samples that methods may relate to each other, bool [N]: valid, with an answer that teaches."""
    valid = lesson.batch.valid
    return valid if lesson.trust is None else valid & lesson.trust


def standardised_mse(student: Tensor, teacher: Tensor, counted: Tensor) -> Tensor:
    """Mean squared difference of standardised channels, halved: [N] of [N,D,P]; its mean over the counted
    samples is 1 - Pearson's rho, meant over the channels. counted: bool [N], the others cost 0.
    """
    difference = _standardised(student, counted) - _standardised(teacher, counted)
    return difference.square().mean((1, 2)) / 2


def _standardised(values: Tensor, counted: Tensor) -> Tensor:
    """Each channel with mean 0 and variance 1 over counted samples and positions; 0 for the other samples."""
    counts = counted.float()[:, None, None]
    number = (counts.sum() * values.shape[2]).clamp(min=1)
    centred = counts * (values - (counts * values).sum((0, 2), keepdim=True) / number)
    deviation = torch.linalg.vector_norm(centred, dim=(0, 2), keepdim=True) / number.sqrt()
    return centred / deviation.clamp(min=FLAT)
