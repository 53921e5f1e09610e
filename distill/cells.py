"""Terms of cells: whether both sides answer the same cells, maps of their first term, two-class divergence.

The first term of a cell is the logit that text is there, whichever task it is.
Letters: N samples, L cells of all levels, h w of a level.
"""

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.nn import functional

from distill.methods import Sides
from shards.errors import BadSettings
from train.ciou import ciou
from train.models import Output


def check(method: str, sides: Sides) -> None:
    """Refuses a task that reads strings, and a teacher whose cells are not the student's."""
    if hasattr(sides.task, "charset"):
        raise BadSettings(
            f"method={method}: compares cells, and this task reads strings step by step; "
            "it is for tasks that find words"
        )
    mine, theirs = sides.student.told, sides.teacher.told
    if mine != theirs:
        remedy = "both need the same canvas (image.height, image.width), strides and settings of the task"
        if sides.student.grids and not sides.teacher.grids:
            remedy = "a cache that does not tell its grids is of an older version: record it anew"
        raise BadSettings(f"method={method}: the student answers {mine}, the teacher {theirs}; {remedy}")


def check_boxes(method: str, sides: Sides) -> None:
    """Refuses a task whose cells answer no boxes."""
    if not hasattr(sides.task, "boxes"):
        raise BadSettings(
            f"method={method}: compares the boxes that cells answer, and those of this task answer none; "
            "it is for task=boxes"
        )


def levels(values: Tensor, grids: Sequence[tuple[int, int]]) -> list[Tensor]:
    """[N,L] as a map [N,h,w] of each level."""
    parts = values.split([h * w for h, w in grids], 1)
    return [part.unflatten(1, grid) for part, grid in zip(parts, grids, strict=True)]


def text(terms: Tensor, grids: Sequence[tuple[int, int]]) -> list[Tensor]:
    """The logits of text [N,h,w] of each level, fp32, from terms [N,L,C]."""
    return levels(terms[..., 0].float(), grids)


def binary_kl(teacher: Tensor, student: Tensor) -> Tensor:
    """KL(teacher, student) in nats of a yes or no, from the logits of the yes, in their shape.

    It is the cross-entropy of the student against the teacher's probability, less the teacher's own entropy.
    """
    yes = functional.logsigmoid(teacher) - functional.logsigmoid(student)
    no = functional.logsigmoid(-teacher) - functional.logsigmoid(-student)
    return teacher.sigmoid() * yes + (-teacher).sigmoid() * no


def mean_over(values: Tensor, weights: Tensor) -> Tensor:
    """The weighted mean of each sample [N] of [N,...]; 0 where all weights are 0. weights 0..1, broadcast."""
    weights = weights.expand_as(values).flatten(1)
    return (weights * values.flatten(1)).sum(1) / weights.sum(1).clamp(min=1)


def apart(task: Any, output: Output, student: Tensor, teacher: Tensor) -> Tensor:
    """How far the boxes of cells are from each other [N,L], from terms [N,L,C] of `task` boxes: 1 - complete
    IoU, and of quads the smooth L1 of their corners' shares.
    """
    places = task.cells(output)
    boxes = 1 - ciou(task.boxes(student, *places), task.boxes(teacher, *places))
    corners = functional.smooth_l1_loss(student[..., 5:], teacher[..., 5:], reduction="none", beta=0.1)
    return boxes + corners.sum(-1) / max(corners.shape[-1], 1)
