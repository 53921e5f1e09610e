"""Features of both sides: which there are, in one layout, and of which samples they count.

Letters: N samples, L time steps, D numbers per position, h w positions of a map.
"""

from torch import Tensor

from distill.lesson import Lesson
from distill.methods import Shapes
from shards.errors import BadSettings
from shards.lookup import unknown


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
