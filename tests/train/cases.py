"""What a model is tried on: the task it is made for, canvases that it takes, and samples it can learn."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from shards.image import ImageSpec
from shards.lookup import find
from shards.sample import Record, Word

TASKS = {"db": "maps", "yolo": "boxes"}  # of models that do not read words


@dataclass(frozen=True)
class Case:
    """task: its name and settings; records(n): labels of n samples, of which the second teaches nothing
    positive; pictures(records, image): what carries them; widths: canvases that differ in nothing else.
    """

    task: str
    settings: dict[str, Any]
    image: ImageSpec
    other: ImageSpec
    records: Callable[[int], list[Record]]
    pictures: Callable[[list[Record], ImageSpec], torch.Tensor]
    widths: tuple[int, ...]

    def opened(self, image: ImageSpec | None = None):
        """The task for a canvas."""
        module = find("train.tasks", self.task)
        return module.Task(module.Settings(**self.settings), image or self.image)


def noise(records, image):
    """Pictures in which nothing stands: crops are told apart by what they are."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(len(records), image.depth, image.height, image.width, generator=generator)


def crops(n: int) -> list[Record]:
    texts = [f"{i}{9 - i}{i}" if i != 1 else "" for i in range(n)]
    return [Record((Word(text),), (100, 32), "") for text in texts]


def scenes(n: int) -> list[Record]:
    """One upright word or two, of several sizes, none in the second picture."""
    out = []
    for i in range(n):
        boxes = (
            [(8 + 4 * i, 6 + i, 44 + 5 * i, 26 + 2 * i), (6, 40, 60, 56)][: 1 + i % 3 // 2] if i != 1 else []
        )
        words = [Word(None, ((a, b), (c, b), (c, d), (a, d))) for a, b, c, d in boxes]
        out.append(Record(tuple(words), (96, 64), ""))
    return out


def lit(records, image):
    """Noise, brighter where words are."""
    pictures = noise(records, image) / 2
    for picture, record in zip(pictures, records, strict=True):
        for word in record.words:
            (left, top), _, (right, bottom), _ = word.polygon
            picture[:, int(top) : int(bottom), int(left) : int(right)] += 3
    return pictures


READING = Case(
    "recognise", {"characters": "0123456789"}, ImageSpec(), ImageSpec(width=64, channels="rgb"), crops, noise,
    (64, 100, 168),
)  # fmt: skip


def case(name: str) -> Case:
    """Of the model of that name."""
    if name not in TASKS:
        return READING
    canvas = ImageSpec(height=64, width=96, fit="letterbox")
    colours = ImageSpec(height=32, width=64, channels="rgb", fit="letterbox")
    return Case(TASKS[name], {}, canvas, colours, scenes, lit, (64, 96, 160))
