"""Whom a student believes where there is no label: only readings that the teacher is sure of.

Letters: N samples.
"""

from dataclasses import replace
from typing import Any

import torch

from distill.lesson import Lesson
from distill.teachers import Wanted
from shards.loader import Batch
from train.decode import greedy


class Sure:
    """A teacher whose answers to samples without a usable label count only where its reading has at least the
    confidence `least` (0 to 1, of the greedy reading; of the best of the n best where steps are not wanted).
    """

    def __init__(self, teacher: Any, least: float) -> None:
        self.teacher, self.least, self.shapes = teacher, least, teacher.shapes

    def want(self, wanted: Wanted) -> None:
        """See distill.teachers; without readings nothing tells how sure the teacher is."""
        readings = frozenset() if "nbest" in wanted.kinds else frozenset({"frames"})
        self.teacher.want(replace(wanted, kinds=wanted.kinds | readings))

    def story(self) -> dict[str, Any]:
        """See distill.teachers."""
        return {**self.teacher.story(), "confidence": self.least}

    def __call__(self, batch: Batch) -> Lesson:
        lesson, known = self.teacher(batch), batch.targets.usable
        if bool(known.all()):
            return lesson
        if lesson.log_probs.numel():
            sure = [reading.confidence >= self.least for reading in greedy(lesson.log_probs)]
            trust = torch.tensor(sure, device=known.device)
        elif lesson.nbest is not None:
            trust = lesson.nbest.log_probs[:, 0].exp() >= self.least
        else:
            trust = torch.zeros_like(known)  # nothing tells how sure the teacher is
        trust = known | trust
        return replace(lesson, trust=trust if lesson.trust is None else trust & lesson.trust)
