"""Teachers that find words, as one. All must answer the same cells.

Letters: K teachers, N samples, L cells, C terms of a cell.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from distill.lesson import Lesson
from distill.picking import picked
from shards.loader import Batch
from train.models import Output


class Finds:
    """See distill.ensemble.

    per_sample: the teacher to whose answer the labels give the least loss of the task, of equal ones that
    with the best score.
    mean: each cell's probability of text is the mean of the teachers'; its other terms are those of the
    teacher that is surest of text there, since cells of several may speak of several words, and a mean of
    their boxes would be none of them. Features are those of the teacher with the best score.
    task: of the student; grids: of the cells.
    """

    kinds = frozenset({"cells"})

    def __init__(self, task: Any, grids: tuple[tuple[int, int], ...]) -> None:
        self.task, self.grids = task, grids

    def per_sample(
        self, batch: Batch, lessons: list[Lesson], known: Tensor, scores: Sequence[float]
    ) -> Lesson:
        """The answers of one teacher for each sample."""
        order = _by_score(scores)
        losses = torch.stack([self._loss(lessons[k], batch).cpu() for k in order])
        losses = losses.masked_fill(~known[order], torch.inf)
        return picked(lessons, torch.tensor(order)[losses.argmin(0)])

    def _loss(self, lesson: Lesson, batch: Batch) -> Tensor:
        """Of the task, [N]."""
        assert lesson.cells is not None
        with torch.no_grad():
            return self.task.loss(Output(lesson.cells, self.grids), batch.targets)["task"]

    def mean(self, batch: Batch, lessons: list[Lesson], known: Tensor, scores: Sequence[float]) -> Lesson:
        """The mean probability, and the other terms of the surest of each cell."""
        order = _by_score(scores)
        best = torch.tensor(order)[known[order].int().argmax(0)]
        cells = torch.stack([lesson.cells for lesson in lessons if lesson.cells is not None])  # [K,N,L,C]
        asked = (known | ~known.any(0)).to(cells.device)[..., None]  # where nobody knows, all are asked
        text = cells[..., 0].float()
        yes, no = (
            functional.logsigmoid(sign * text).masked_fill(~asked, -torch.inf).logsumexp(0)
            for sign in (1, -1)
        )
        surest = text.masked_fill(~asked, -torch.inf).argmax(0)  # [N,L]
        others = cells.gather(0, surest[None, ..., None].expand(1, *cells.shape[1:]))[0]
        joined = torch.cat([(yes - no)[..., None], others[..., 1:].float()], -1)
        return replace(picked(lessons, best), cells=joined)


def _by_score(scores: Sequence[float]) -> list[int]:
    """The teachers, best first; of equal ones, in their order."""
    return sorted(range(len(scores)), key=lambda k: -scores[k])
