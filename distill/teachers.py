"""Teachers: what gives a student its Lesson. All are callables from a Batch; none is a part of the Step.

A cached and a live teacher answer alike, up to the codec's error: both see the very canvases of the batch.
Letters: N samples, T time steps, C classes.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from distill.cache import Cache
from distill.kinds import NAMES
from distill.lesson import Hypotheses, Lesson
from distill.methods import Shapes
from shards import lookup
from shards.errors import BadSettings
from shards.loader import Batch
from shards.lookup import unknown
from train import modelfolder
from train.beam import prefix_beam
from train.models import answer
from train.occupancy import occupancy
from train.shapes import sizes

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16}
NOTHING = Shapes(0, 0)
DERIVED = frozenset({"frames", "nbest", "occupancy"})  # what classes of steps tell


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of a teacher: kinds of answers (distill.kinds), features, best readings and the width of
    the beam that finds them.
    """

    kinds: frozenset[str] = frozenset({"frames"})
    taps: tuple[str, ...] = ()
    nbest: int = 5
    beam: int = 10


class NoTeacher:
    """The control's: nobody answers."""

    shapes = NOTHING

    def want(self, wanted: Wanted) -> None:
        """Nothing is asked of nobody."""

    def story(self) -> dict[str, Any]:
        """What a student's config.json says of its teacher."""
        return {}

    def __call__(self, batch: Batch) -> Lesson:
        return Lesson(batch, torch.empty(0))


class Cached:
    """Answers from a cache."""

    def __init__(self, cache: Cache) -> None:
        self.cache, self.wanted, card = cache, Wanted(), cache.card
        features = {name: tuple(tap.shape) for name, tap in card.taps.items()}
        grids = tuple((h, w) for h, w in card.grids)
        self.shapes = Shapes(card.frames, card.classes, features, grids)
        self.absent = torch.tensor([int(uid, 16) for uid in cache.damaged]) if cache.damaged else None

    def story(self) -> dict[str, Any]:
        """What a student's config.json says of its teacher."""
        return {**asdict(self.cache.card.teacher), "cache": self.cache.card.digest}

    def want(self, wanted: Wanted) -> None:
        """Refuses what was not recorded."""
        for name in sorted(wanted.kinds - {"features"}):
            if name not in self.cache.kinds:
                raise BadSettings(
                    f"{self.cache.path}: {name} was not recorded (there are: {', '.join(self.cache.kinds)}); "
                    f"record it with kinds=[{','.join([*(k for k in NAMES if k in self.cache.kinds), name])}]"
                )
        for tap in wanted.taps:
            self.cache.tap(tap)
        self.wanted = wanted

    def __call__(self, batch: Batch) -> Lesson:
        there, device = batch.valid.cpu(), batch.images.device
        if self.absent is not None:  # what the teacher could not read teaches nothing; its label does
            there = there & ~torch.isin(batch.uids, self.absent)
        uids, views = batch.uids[there].numpy(), batch.view[there.numpy()]

        def whole(answers: Tensor) -> Tensor:  # a row without an answer is not looked at
            out = answers.new_zeros(len(there), *answers.shape[1:])
            out[there] = answers
            return out.to(device)

        def read(kind: str) -> Any:
            return self.cache.read(kind, uids, views)

        kinds = self.wanted.kinds
        frames = whole(read("frames")) if "frames" in kinds else torch.empty(0)
        features = {tap: whole(self.cache.features(tap, uids, views)) for tap in self.wanted.taps}
        lesson = Lesson(batch, frames, features, cells=whole(read("cells")) if "cells" in kinds else None)
        if "occupancy" in kinds:  # that of a label which nobody may see is not looked at either
            seen = batch.targets.usable[:, None, None]
            lesson = replace(lesson, occupancy=torch.where(seen, whole(read("occupancy")), 0.0))
        if "trust" in self.cache.kinds:
            lesson = replace(lesson, trust=whole(read("trust")))
        elif self.absent is not None:
            lesson = replace(lesson, trust=there.to(device))
        if "nbest" in kinds:
            found = read("nbest")
            parts = (whole(found.symbols), whole(found.lengths), whole(found.log_probs))
            lesson = replace(lesson, nbest=Hypotheses(*parts))
        return lesson


class Live:
    """Answers from a model folder: in eval mode, without gradients. precision: fp32 or bf16."""

    def __init__(
        self, folder: str | Path, device: str | torch.device = "cpu", precision: str = "fp32"
    ) -> None:
        if precision not in PRECISIONS:
            raise BadSettings(unknown("precision", precision, list(PRECISIONS)))
        self.folder, self.precision, self.wanted = Path(folder), precision, Wanted()
        self.loaded = modelfolder.load(folder, device)
        self._way = lookup.find("distill.answers", self.loaded.task.answers)
        self.loaded.model.to(memory_format=torch.channels_last).requires_grad_(False)
        image = self.loaded.task.image
        with torch.no_grad():
            told = self.loaded.model(torch.zeros(1, image.depth, image.height, image.width, device=device))
        features = {} if image.buckets else sizes(told)
        self.shapes = Shapes(told.logits.shape[1], told.logits.shape[2], features, told.grids)

    def story(self) -> dict[str, Any]:
        """What a student's config.json says of its teacher."""
        weights = modelfolder.weights_digest(self.folder)
        return {"weights": weights, "model": self.loaded.config["model"], "precision": self.precision}

    def want(self, wanted: Wanted) -> None:
        """Refuses features that the model does not have."""
        for tap in wanted.taps:
            if tap not in self.shapes.features:
                raise BadSettings(unknown("taps", tap, sorted(self.shapes.features)))
        for kind in sorted(wanted.kinds - {self.loaded.task.answers}):
            raise BadSettings(unknown(f"{self.folder}: answers", kind, [self.loaded.task.answers]))
        self.wanted = wanted

    def plain(self, batch: Batch) -> Lesson:
        """See `Derived`."""
        return self(batch)

    def __call__(self, batch: Batch) -> Lesson:
        lower = PRECISIONS[self.precision]
        with torch.no_grad(), torch.autocast(batch.images.device.type, lower, enabled=lower is not None):
            output = answer(self.loaded.model, batch)
        features = {tap: output.features[tap].float() for tap in self.wanted.taps}
        return self._way.lesson(batch, output.logits.float(), features)


class Derived:
    """A teacher that answers the classes of every step; readings and occupancies are worked out of them."""

    def __init__(self, teacher: Any) -> None:
        self.teacher, self.wanted, self.shapes = teacher, Wanted(), teacher.shapes

    def want(self, wanted: Wanted) -> None:
        """See `Live`."""
        for kind in sorted(wanted.kinds - DERIVED):
            raise BadSettings(unknown("the teacher answers", kind, sorted(DERIVED)))
        self.teacher.want(replace(wanted, kinds=frozenset({"frames"})))
        self.wanted = wanted

    def story(self) -> dict[str, Any]:
        """See `Live`."""
        return self.teacher.story()

    def plain(self, batch: Batch) -> Lesson:
        """The classes of every step, and the features that are wanted."""
        return self.teacher(batch)

    def __call__(self, batch: Batch) -> Lesson:
        lesson, kinds = self.plain(batch), self.wanted.kinds
        if "occupancy" in kinds:
            lesson = replace(lesson, occupancy=_aligned(lesson))
        if "nbest" in kinds:
            found = prefix_beam(lesson.log_probs, self.wanted.nbest, self.wanted.beam)
            parts = (torch.from_numpy(part) for part in (found.symbols, found.lengths, found.log_probs))
            lesson = replace(lesson, nbest=Hypotheses(*parts).to(batch.images.device))
        return lesson


def _aligned(lesson: Lesson) -> Tensor:
    """Occupancies [N,T,C] of the labels; zeros where there is none, or none that fits."""
    targets = lesson.batch.targets
    found, feasible = occupancy(lesson.log_probs, targets.symbols, targets.lengths, targets.usable)
    return torch.where(feasible[:, None, None], found, 0.0)
