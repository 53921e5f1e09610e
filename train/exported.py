"""A model in a file of `train.formats`: it answers like the checkpoint that it was made of, and never trains.

The file alone is enough: it holds the config.json of the checkpoint, with `answers`: what the shapes of the
logits mean. Letters: N samples, L time steps or cells, C classes or terms of a cell.
"""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from shards import lookup
from shards.errors import BadData
from shards.image import ImageSpec
from train.blocks import edges
from train.formats import Run
from train.models import Output

SEAM = "train.formats"


class Model(nn.Module):
    """Images [N,C,H,W] to `Output`, by whatever runs the file; on the CPU. alone: see `Precision`."""

    trains = False

    def __init__(self, run: Run, answers: dict[str, Any], image: ImageSpec, alone: bool = False) -> None:
        super().__init__()
        self.run, self.image, self.alone = run, image, alone
        self.frames = int(answers["frames"])
        self.grids = {int(edge): tuple(map(tuple, g)) for edge, g in answers["grids"].items()}
        self._steps = np.array(answers["steps"]) if answers["steps"] else None

    def forward(self, images: Tensor, widths: Tensor | None = None) -> Output:
        """Logits [N,L,C], on the device of the images; widths: see `Batch`."""
        if not self.image.buckets:
            return self.of_edge(images)
        if self._steps is not None:
            return edges.read(self.of_edge, self.image, self._steps, images, widths)
        return edges.find(self.of_edge, self.image, self.grids[self.image.width], images, widths)

    def of_edge(self, images: Tensor, steps: Tensor | None = None) -> Output:
        """The answer to images of one edge."""
        given = [np.ascontiguousarray(images.float().numpy(force=True))]
        given += [] if steps is None else [steps.numpy(force=True)]
        single = self.alone and len(images) > 1
        parts = [[one[i : i + 1] for one in given] for i in range(len(images))] if single else [given]
        answers = [np.asarray(self.run(part), np.float32) for part in parts]
        logits = torch.from_numpy(np.concatenate(answers) if single else answers[0]).to(images.device)
        return Output(logits, self.grids.get(images.shape[-1], ()), steps=steps)


def meanings(model: Any, image: ImageSpec) -> dict[str, Any]:
    """What `answers` says of a model: L, its parameters, (h, w) of the levels by edge, steps by columns."""
    grids = {}
    for edge in image.edges:
        with torch.inference_mode():
            found = model.of_edge(torch.zeros(1, image.depth, image.height, edge))
        grids[str(edge)] = [list(size) for size in found.grids]
    reads = image.buckets and not any(grids.values())
    spans = np.arange(image.width + 1)
    return {
        "frames": int(model.frames), "parameters": sum(p.numel() for p in model.parameters()),
        "grids": grids, "steps": model.steps_of(spans).tolist() if reads else [],
    }  # fmt: skip


def suffixes() -> dict[str, ModuleType]:
    """The formats by the suffix of the file that is named."""
    return {one.SUFFIXES[0]: one for one in (lookup.find(SEAM, name) for name in lookup.members(SEAM))}


def format_of(path: Path) -> ModuleType:
    """The format of a file, by its suffix; another is a BadData that lists what there is."""
    known = suffixes()
    if path.suffix not in known:
        raise BadData(f"{path}: a model is a folder, or a file of one of {', '.join(sorted(known))}")
    return known[path.suffix]


def size(path: Path) -> int:
    """Bytes of an exported model, all its files together."""
    return sum(path.with_suffix(suffix).stat().st_size for suffix in format_of(path).SUFFIXES)


class Running:
    """Runs a file with as many threads as are due now: it is opened anew where that has changed.

    told: the text of config.json in it.
    """

    def __init__(self, path: Path) -> None:
        self._form, self._path = format_of(path), path
        self._threads = torch.get_num_threads()
        self.told, self._run = self._form.read(path, self._threads)

    def __call__(self, inputs: list[np.ndarray]) -> np.ndarray:
        if (threads := torch.get_num_threads()) != self._threads:
            _, self._run = self._form.read(self._path, threads)
            self._threads = threads
        try:
            return self._run(inputs)
        except Exception as error:  # whatever the runtime raises of a file whose config was changed
            shapes = ", ".join(str(list(one.shape)) for one in inputs)
            said = (str(error).strip() or repr(error)).splitlines()[0][:200]
            raise BadData(f"{self._path}: cannot answer {shapes}, as its own config has it: {said}") from None


def opened(path: Path) -> tuple[str, Run]:
    """The text of config.json in an exported file, and what runs the file."""
    running = Running(path)
    if not running.told:
        raise BadData(
            f"{path}: says nothing of charset and image, so it was not made by train.export; "
            "python -m train.checkpoint format=onnx imports files of other projects"
        )
    return running.told, running


def answers_of(told: dict[str, Any], path: Path) -> dict[str, Any]:
    """What `told` says about the logits; BadData where it says nothing."""
    found = told.get("answers")
    if not isinstance(found, dict):
        raise BadData(f"{path}: its config has no `answers`; export it again")
    return found
