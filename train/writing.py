"""A checkpoint as a file of `train.formats`, in a precision; and what makes it narrower."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from shards.errors import BadSettings
from shards.lookup import find
from train import exported, modelfolder
from train.formats import Graph, onnx
from train.narrowing import FULL, Narrower, Precision
from train.reader import Reader

BATCH = 8  # pictures that are measured together


def write(loaded: modelfolder.Loaded, name: str, path: Path, precision: Precision = FULL) -> None:
    """One file; a model that only answers, and has no graph of its own, is a BadSettings."""
    model, image = loaded.model, loaded.task.image
    if not getattr(model, "trains", True):
        raise BadSettings("this model is a file of another format already: there is no graph to write")
    answers = exported.meanings(model, image)
    if not loaded.task.finds:
        answers["characters"] = loaded.task.charset.characters  # for readers that know no task
    told = {"name": precision.name, "wide": list(precision.wide), "alone": precision.alone}
    text = modelfolder.text_of({**loaded.config, "answers": answers, "precision": told})
    find(exported.SEAM, name).write(Graph(model), example(loaded), path, text, precision)


def example(loaded: modelfolder.Loaded) -> tuple[torch.Tensor, ...]:
    """Inputs of the graph for two images of the narrowest edge."""
    image, task = loaded.task.image, loaded.task
    images = torch.rand(2, image.depth, image.height, image.edges[0]) * 2 - 1
    if task.finds or not image.buckets:
        return (images,)
    return images, torch.from_numpy(loaded.model.steps_of(np.full(2, image.edges[0])))


def narrower(
    kind: type[Narrower], loaded: modelfolder.Loaded, pictures: Callable[[], Sequence[bytes]]
) -> Narrower:
    """What makes the model narrower, measured on encoded pictures as the model sees them."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.onnx"
        write(loaded, "onnx", path)
        _, run = exported.opened(path)
    seen: list[list[np.ndarray]] = []

    def watched(inputs: list[np.ndarray]) -> np.ndarray:
        seen.append(inputs)
        return run(inputs)

    answers = exported.meanings(loaded.model, loaded.task.image)
    model = exported.Model(watched, answers, loaded.task.image)
    reader = Reader(replace(loaded, model=model))

    def samples() -> Iterator[list[np.ndarray]]:
        given = pictures()
        for start in range(0, len(given), BATCH):
            reader.answers(given[start : start + BATCH])
            yield from seen
            seen.clear()

    return kind(onnx.traced(Graph(loaded.model), example(loaded)), samples)
