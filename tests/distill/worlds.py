"""Pairs of a teacher's and a student's answers for methods: to crops, to scenes as boxes, to scenes as maps.

Letters: N samples, L steps or cells, C classes or terms.
"""

import types
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.lesson import Hypotheses, Lesson
from distill.methods import Shapes, Sides
from shards import lookup
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.sample import Record, Word
from train.models import Output
from train.tasks import boxes, recognise

N = 6
WHOLE = list(range(N))
LOWEST = -65504.0  # what a cache holds of a class that the teacher excludes


def numbers(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def rectangle(left: float, top: float, right: float, bottom: float, legible: bool = True) -> Word:
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Word("word" if legible else None, corners, legible)


@dataclass(frozen=True)
class World:
    """What both sides answer: `sides` and the grids of the cells, none for strings."""

    sides: Sides
    grids: tuple[tuple[int, int], ...] = ()

    def logits(self, seed: int, scale: float = 4.0) -> Tensor:
        return scale * numbers(seed, N, self.sides.student.frames, self.sides.student.classes)

    def features(self, seed: int, rows: list[int], shapes: Shapes) -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        return {
            name: torch.randn(N, *shape, generator=generator)[rows] for name, shape in shapes.features.items()
        }

    def output(self, logits: Tensor, rows: list[int] = WHOLE, seed: int = 5) -> Output:
        """What a student answers to these samples, as leaves that gradients can be asked of."""
        drawn = self.features(seed, rows, self.sides.student)
        made = {name: value.to(logits.dtype).requires_grad_() for name, value in drawn.items()}
        return Output(logits.detach().requires_grad_(), self.grids, made)

    def lesson(
        self, logits: Tensor, rows: list[int] = WHOLE, kept: Tensor | None = None, seed: int = 6
    ) -> Lesson:
        """All that a teacher can answer to these samples, for methods to take what they need."""
        image = self.sides.task.image
        batch: Any = types.SimpleNamespace(
            targets=self.sides.task.encode([self.record(i) for i in rows]),
            images=torch.zeros(len(rows), image.depth, image.height, image.width),
            valid=torch.ones(len(rows), dtype=torch.bool),
            epoch=0,
            uids=torch.tensor(rows),
            view=np.zeros(len(rows), np.int64),
        )
        told = Lesson(batch, torch.empty(0), self.features(seed, rows, self.sides.teacher), peers=(logits,))
        if self.grids:
            return replace(told, cells=logits if kept is None else kept)
        answers = logits.log_softmax(-1) if kept is None else kept
        readings = torch.tensor([[[11, 12, 13], [11, 12, 0], [14, 0, 0]]]).expand(len(rows), 3, 3)
        lengths = torch.tensor([[3, 2, 1]]).expand(len(rows), 3)
        nbest = Hypotheses(readings, lengths, torch.tensor([[-0.1, -2.5, -5.0]]).expand(len(rows), 3))
        return replace(told, log_probs=answers, nbest=nbest, occupancy=answers.exp())

    def record(self, i: int) -> Record:
        """Of scenes: words, small and large, over each other, out of the picture, not to be judged, none."""
        if not self.grids:
            return Record((Word(f"ab{i}a"),), (100, 32), "")
        words = (
            rectangle(3 + 7 * i, 4 + 5 * i, 33 + 7 * i, 14 + 5 * i), rectangle(20, 2, 60, 40),
            rectangle(50, 30, 90, 60, legible=False), rectangle(80, -5, 120, 9),
        )  # fmt: skip
        return Record(words[: (4, 2, 3, 4, 0, 1)[i]], (96, 64), "")

    def sure(self) -> list[Tensor]:
        """Teachers that exclude all but one answer."""
        found = []
        for term in (0, min(11, self.sides.teacher.classes - 1)):
            answers = torch.full((N, self.sides.teacher.frames, self.sides.teacher.classes), LOWEST)
            answers[..., term] = 0.0
            found.append(answers)
        return found


def holed(told: Lesson, valid: Tensor) -> Lesson:
    """The same where some rows are not valid: a teacher answers those with zeros."""

    def left(answers: Tensor | None) -> Any:
        if answers is None or not answers.numel():
            return answers
        return torch.where(valid.view(N, *[1] * (answers.dim() - 1)), answers, 0.0)

    batch: Any = types.SimpleNamespace(**{**vars(told.batch), "valid": valid})
    kept = {name: left(feature) for name, feature in told.features.items()}
    answers = {name: left(getattr(told, name)) for name in ("log_probs", "occupancy", "cells")}
    peers = tuple(left(peer) for peer in told.peers)
    return replace(told, batch=batch, features=kept, peers=peers, **answers)


def shapes(frames: int, classes: int, **features: tuple[int, ...]) -> Shapes:
    return Shapes(frames, classes, features)


_strings = shapes(24, 37, sequence=(24, 8), rnn1=(24, 12), rnn2=(24, 10), conv5=(8, 2, 25))
CROPS = World(Sides(recognise.Task(recognise.Settings("36"), ImageSpec()), _strings, _strings))

_canvas = ImageSpec(height=64, width=96, channels="rgb", fit="letterbox")
GRIDS = ((8, 12), (4, 6), (2, 3))
_levels = shapes(126, 5, layer17=(6, 8, 12), layer20=(5, 4, 6), layer23=(4, 2, 3))
_boxes = boxes.Task(boxes.Settings(), _canvas)
SCENES = World(Sides(_boxes, _levels, _levels), GRIDS)

# a task that answers a probability and a threshold, as far as methods see it
_two = types.SimpleNamespace(image=_canvas, channels=2, encode=_boxes.encode, answers="cells")
_map = shapes(384, 2, neck=(6, 16, 24))
MAPS = World(Sides(_two, _map, _map), ((16, 24),))


D, GRID = _levels.features["layer17"][0], GRIDS[0]  # of layer17
LEVELS = {"layer17": (4, 8, 12), "layer20": (3, 4, 6), "layer23": (7, 2, 3)}
UNLIKE = World(Sides(_boxes, shapes(126, 5, **LEVELS), _levels), GRIDS)  # students of other widths


def make(name: str, sides: Sides, **settings: Any) -> Any:
    torch.manual_seed(0)  # adapters are drawn at random
    module = lookup.find("distill.methods", name)
    return module.Method(module.Settings(**settings), sides)


def world_of(name: str) -> World:
    """The first world that a method, as it is by default, does not refuse."""
    for world in (CROPS, SCENES, MAPS):
        try:
            make(name, world.sides)
        except BadSettings:
            continue
        return world
    raise AssertionError(f"{name} refuses every world")


def compared(name: str, mine: Tensor, theirs: Tensor, mine_terms: Tensor | None = None, **settings) -> Tensor:
    """The loss [N] for features layer17 of both sides; the same terms of cells, where no others are given."""
    terms = SCENES.logits(1)
    output = replace(SCENES.output(terms if mine_terms is None else mine_terms), features={"layer17": mine})
    told = replace(SCENES.lesson(terms), features={"layer17": theirs})
    return make(name, SCENES.sides, **{"taps": ["layer17"], **settings})(output, told)


def both(seed: int = 1) -> tuple[Tensor, Tensor]:
    """Features layer17 of a student and a teacher."""
    return numbers(seed, N, D, *GRID), numbers(seed + 1, N, D, *GRID)
