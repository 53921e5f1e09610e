"""Terms of every cell of a grid, of what finds words. The first term is the logit that a word is there."""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from distill.cells import binary_kl
from distill.codecs import Kept
from distill.ensemble import Ensemble
from distill.finds import Finds
from distill.fingerprint import Card
from distill.lesson import Lesson
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.loader import Batch

if TYPE_CHECKING:
    from distill.recording import Settings

KINDS = ("cells",)


def lesson(batch: Batch, logits: Tensor, features: dict[str, Tensor]) -> Lesson:
    """The terms as they are, [N,L,C]."""
    return Lesson(batch, torch.empty(0), features, cells=logits)


def divergence(told: Tensor, said: Tensor) -> Tensor:
    """Of text or none, at each cell."""
    return binary_kl(told[..., 0].float(), said[..., 0].float())


def text(logits: Tensor) -> Tensor:
    """That a word is there."""
    return logits[..., 0].float().sigmoid()


def identity(task: Any) -> dict[str, Any]:
    """The terms are those of the task's settings, which a card holds."""
    return {}


def live(teacher: Any, task: Any, frames: int = 0) -> Any:
    """Refused where canvases or cells are others than the student's."""
    return _same(teacher, teacher.loaded.task.image, task, frames)


def recorded(teacher: Any, card: Card, task: Any, frames: int = 0) -> Any:
    """Refused where canvases or cells are others than the student's, or are not told."""
    if frames and not card.grids:
        raise BadData(
            f"{teacher.cache.path}: does not say on which grids its {card.frames} cells stand, for an older "
            "version recorded it; record it anew"
        )
    return _same(teacher, card.image, task, frames)


def derived(teacher: Any) -> Any:
    """There is nothing to work out."""
    return teacher


def together(teachers: list[Any], ensemble: str, known: list[float], task: Any) -> Any:
    """See distill.ensemble and distill.finds; refused where the teachers' cells differ."""
    told = list(dict.fromkeys(teacher.shapes.told for teacher in teachers))
    if len(told) > 1:
        raise BadSettings(
            f"ensemble={ensemble}: the teachers answer {', '.join(told)}; give such as answer alike"
        )
    return Ensemble(teachers, ensemble, known, Finds(task, teachers[0].shapes.grids))


def sure(teacher: Any, least: float) -> Any:
    """Refused: a picture without labels would teach that it holds no word."""
    raise BadSettings(
        "data.unlabelled: detectors learn from labels; shard what a detector found as labels first "
        "(train.predict DETECTOR PHOTOS recogniser=words out=labels.txt; ingest.shard source=paddle_labels)"
    )


def kept(settings: "Settings", answers: Tensor) -> Kept:
    """So many of the surest cells of a sample, or all of them with codec=dense."""
    if settings.codec not in ("auto", "dense"):
        raise BadSettings(f"codec={settings.codec}: cells are kept by codec=auto (cells=) or codec=dense")
    every = answers.shape[1]
    return Kept("cells", k=every if settings.codec == "dense" else min(settings.cells, every))


def _same(teacher: Any, image: ImageSpec, task: Any, frames: int) -> Any:
    theirs, mine = (teacher.shapes.frames, teacher.shapes.classes), (frames, task.channels)
    if image != task.image:
        raise BadSettings(f"image: the teacher sees {image}, this run {task.image}: cells differ")
    if frames and theirs != mine:
        raise BadSettings(
            f"the teacher answers {theirs[0]} cells of {theirs[1]} terms, the student {mine[0]} of "
            f"{mine[1]}; "
            "methods of features alone need no equal cells: give models with the same grids and task settings"
        )
    return teacher
