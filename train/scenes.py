"""Scenes: what stands in pictures and what was found there, side by side as a protocol of detection sees it.

`icdar2015` is task 4.1 of the Robust Reading Competition: polygons, and truths that are not legible are
regions in which nothing counts. `ocrdistill` is that of minsu1206/OCRdistill: upright boxes, and illegible
truths count as text; figures of one are not figures of the other. Whatever the protocol, a truth without an
outline, or whose outline meets itself or has no area, is ignored; such a detection finds nothing.
Letters: N scenes, G truths and D detections of all scenes.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from shards import geometry
from shards.errors import BadSettings
from shards.lookup import unknown
from shards.sample import Word
from train.overlap import Polygons, upright


@dataclass(frozen=True, slots=True)
class Scene:
    """The labelled words of a picture, and those found, by falling score."""

    truths: tuple[Word, ...]
    found: tuple[Word, ...]

    @classmethod
    def of(cls, truths: Iterable[Word], found: Iterable[Word]) -> "Scene":
        """From words in any order; equal scores keep theirs. A score of NaN is a ValueError."""
        return cls(tuple(truths), tuple(sorted(found, key=certainty, reverse=True)))


def certainty(word: Word) -> float:
    """The score of a detection; 1 where it has none, as of programs that answer what they are sure of."""
    if word.score is not None and math.isnan(word.score):
        raise ValueError(f"a detection has the score {word.score}")
    return 1.0 if word.score is None else float(word.score)


@dataclass(frozen=True, slots=True)
class Pool:
    """All scenes in one; an outline that cannot be measured has no corners.

    truths, counted bool, of_truth int64 (the scene) [G]; found, scores float64, of_found int64 [D]; n: N.
    """

    truths: Polygons
    counted: np.ndarray
    of_truth: np.ndarray
    found: Polygons
    scores: np.ndarray
    of_found: np.ndarray
    n: int


@dataclass(frozen=True, slots=True)
class Protocol:
    """How words become outlines, and whether there are regions in which nothing counts."""

    name: str
    outlines: Callable[[Polygons], Polygons]
    ignores: bool

    def pool(self, scenes: Sequence[Scene]) -> Pool:
        """The scenes side by side."""
        truths = [word for scene in scenes for word in scene.truths]
        found = [word for scene in scenes for word in scene.found]
        marks = self._outlined(truths)
        legible = np.array([word.legible or not self.ignores for word in truths], bool)
        return Pool(
            marks,
            legible & (marks.counts > 0),
            np.repeat(np.arange(len(scenes)), [len(scene.truths) for scene in scenes]),
            self._outlined(found),
            np.array([certainty(word) for word in found], np.float64),
            np.repeat(np.arange(len(scenes)), [len(scene.found) for scene in scenes]),
            len(scenes),
        )

    def _outlined(self, words: Sequence[Word]) -> Polygons:
        outlines = self.outlines(Polygons.of([word.polygon for word in words]))
        return outlines.where(outlines.sound())


NATIVE = "icdar2015"
PROTOCOLS = {
    one.name: one
    for one in (
        Protocol("icdar2015", lambda polygons: polygons, True),
        Protocol("ocrdistill", lambda polygons: upright(polygons.boxes()), False),
    )
}


def protocol(name: str) -> Protocol:
    """The protocol of that name; another is a BadSettings that lists what exists."""
    if name not in PROTOCOLS:
        raise BadSettings(unknown("protocol", name, list(PROTOCOLS)))
    return PROTOCOLS[name]


def boxed(scenes: Sequence[Scene], counted: np.ndarray) -> list[Scene]:
    """The same truths; each that counts [G] is answered by its upright box: what such boxes can reach."""
    left = iter(counted.tolist())
    return [Scene(scene.truths, tuple(_boxed(w) for w in scene.truths if next(left))) for scene in scenes]


def _boxed(word: Word) -> Word:
    left, top, right, bottom = geometry.box(word.polygon or ())
    return Word(word.text, ((left, top), (right, top), (right, bottom), (left, bottom)))
