"""What the tasks that find words share: which words count, how sure one must be, which samples are theirs,
and how what they find is judged.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from shards.config import Choice
from shards.errors import BadData, BadSettings
from shards.geometry import area
from shards.image import ImageSpec
from shards.read import Shards
from shards.sample import Record, Word
from shards.typed import check_ranges
from train.detection import Meter
from train.headings import SCENES
from train.models import Output
from train.nms import nms_quads
from train.scenescore import Score, mistakes
from train.tasks import Read

STRINGS = " are of strings, this model finds places; recogniser=words reads what it finds"


@dataclass(frozen=True, slots=True)
class Settings:
    """Which of the words found are told."""

    threshold: float = 0.3  # words at least this sure are found, says a single figure and `train.predict`
    floor: float = 0.02  # and words at least this sure stand in curves
    most: int = 300  # words found in a picture, the surest
    unit: Literal["", "words", "lines", "both"] = ""  # what is to be found; empty: what the data marks

    def __post_init__(self) -> None:
        check_ranges(self, "task.", threshold=(0, 1), floor=(0, 1), most=(1, math.inf))


class Task(ABC):
    """The members of a task (train.tasks) that are the same however words are found."""

    answers, headings, finds = "cells", SCENES, True
    varies: tuple[str, ...] = ()
    overlap = 0.5  # intersection over union from which two words found at different scales are one

    def __init__(self, settings: Any, image: ImageSpec, channels: int) -> None:
        self.settings, self.image, self.channels = settings, image, channels
        self.least: float = settings.threshold

    def read_by(self, decoder: Choice, temperature: float = 1.0) -> None:
        """Places are read in one way; another decoder is refused."""
        if decoder.name != "greedy":
            raise BadSettings(f"decoder={decoder.name}: decoders (lexicon= and topk= choose one){STRINGS}")

    def detailed(self, raw: bool, topk: int) -> Callable[[Output], list[tuple[Read, ...]]]:
        """Refused: a place has no steps and no texts."""
        raise BadSettings(f"raw= and topk={STRINGS}")

    def check(self, shards: Shards) -> None:
        """Refuses crops: their words stand nowhere; and lines where words are to be found, and the like."""
        if not shards.scenes():
            raise BadData(
                f"{', '.join(map(str, shards.folders))}: crops of one word each, no scenes; "
                "detection reads photographs with the places of their words (icdar2015 level=scenes)"
            )
        unit, marked = self.settings.unit, _marked(shards)
        if unit not in ("", "both") and any(found != unit for found in marked.values()):
            told = ", ".join(f"{found} in {folder}" for folder, found in marked.items())
            raise BadData(f"{told}; this model finds {unit}. task.unit=both learns and judges both alike")

    def census(self, texts: Iterable[str | None], frames: Iterable[int]) -> dict[str, int]:
        """Nothing that the columns tell keeps a scene from teaching."""
        return {}

    def trials(self, output: Output, records: Sequence[Record], temperatures: Sequence[float]) -> Any:
        """Scores of places are no probabilities of readings."""
        name = type(self).__module__.rpartition(".")[2]
        raise BadSettings(f"train.calibrate: task {name} has no readings whose confidence could be fitted")

    def merged(self, outputs: Sequence[Output]) -> list[tuple[Read, ...]]:
        """The words found on canvases, from answers to them at several scales: of words that overlap, the
        surest.
        """
        several = zip(*(self.decode(output) for output in outputs), strict=True)
        return [self._apart([word for words in one for word in words]) for one in several]

    def _apart(self, words: list[Read]) -> tuple[Read, ...]:
        quads = torch.tensor([word.polygon for word in words], dtype=torch.float64).reshape(-1, 4, 2)
        scores = torch.tensor([word.score for word in words], dtype=torch.float64)
        kept = nms_quads(quads, scores, self.overlap, self.settings.most)
        return tuple(words[i] for i in kept.tolist())

    @abstractmethod
    def decode(self, output: Output) -> list[tuple[Read, ...]]:
        """The words found on each canvas, surest first: a member says how."""

    def meter(self) -> Meter:
        """A fresh meter."""
        return Meter(self.settings.threshold)

    def score(self, meter: Meter, damage: Mapping[int, str], seed: int) -> Score:
        """The figures of an evaluation."""
        return Score(meter, damage, seed)

    def mistakes(self, meter: Meter, damage: Mapping[int, str], shards: Shards) -> dict[str, Any]:
        """What was missed and what was found where nothing is."""
        return mistakes(meter, damage, self, shards)


def settle(settings: Any, shards: Shards) -> tuple[Any, str]:
    """Settings that say what is found, words or lines; data of both is a BadData, unless it was asked for."""
    marked = _marked(shards)
    if settings.unit or not marked:
        return settings, ""
    if len(set(marked.values())) > 1:
        told = ", ".join(f"{found} in {folder}" for folder, found in marked.items())
        raise BadData(f"{told}: what finds the ones misses the others; task.unit=both mixes them")
    return replace(settings, unit=next(iter(marked.values()))), ""


def _marked(shards: Shards) -> dict[Path, str]:
    """What the polygons of each folder hold: words, or lines."""
    return {folder: "lines" if one.meta.kind == "lines" else "words" for folder, one in shards.firsts()}


def joined(old: Any, new: Any) -> Any:
    """There are no classes but text."""
    return new


def words_of(records: Sequence[Record]) -> list[list[Word]]:
    """The words of each record that stand somewhere."""
    return [[word for word in record.words if word.polygon is not None] for record in records]


def edges(records: Sequence[Record], image: ImageSpec) -> np.ndarray:
    """The edge of each record's canvas, int64 [N]: what lies beyond it, no model sees."""
    sizes = np.array([record.size for record in records], np.float64).reshape(-1, 2)
    return image.edge(image.spans(*sizes.T))


def counts(word: Word) -> bool:
    """Whether a word is to be found; one that is not to be read, or has no area, is no fault either way."""
    return word.legible and word.polygon is not None and area(word.polygon) != 0


def boxes(words: Sequence[Word], width: float, height: float) -> np.ndarray:
    """The upright boxes of words as far as they lie on the canvas, [M,4]."""
    found = [np.array(word.polygon) for word in words]
    size = (width, height)
    edges = [(*np.clip(p.min(0), 0, size), *np.clip(p.max(0), 0, size)) for p in found]
    return np.array(edges, np.float64).reshape(-1, 4)
