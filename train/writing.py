"""A checkpoint as a file of `train.formats`, in a precision; and what int8 is measured on."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from shards.errors import BadSettings
from shards.lookup import find
from train import exported, modelfolder
from train.formats import Graph, onnx
from train.quantised import FULL, Precision, Quantiser
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
    told = {"name": precision.name, "wide": list(precision.wide)}
    text = modelfolder.text_of({**loaded.config, "answers": answers, "precision": told})
    find(exported.SEAM, name).write(Graph(model), example(loaded), path, text, precision)


def example(loaded: modelfolder.Loaded) -> tuple[torch.Tensor, ...]:
    """Inputs of the graph for two images of the narrowest edge."""
    image, model = loaded.task.image, loaded.model
    images = torch.rand(2, image.depth, image.height, image.edges[0]) * 2 - 1
    answers = exported.meanings(model, image)
    steps = [torch.full((2,), answers["steps"][image.edges[0]])] if answers["steps"] else []
    return images, *steps


def quantiser(loaded: modelfolder.Loaded, pictures: Sequence[bytes]) -> Quantiser:
    """What makes int8 of the model, measured on encoded pictures as the model sees them."""
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
        for start in range(0, len(pictures), BATCH):
            reader.answers(pictures[start : start + BATCH])
            yield from seen
            seen.clear()

    return Quantiser(onnx.traced(Graph(loaded.model), example(loaded)), samples)
