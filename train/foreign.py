"""Foreign weights: files of other projects become tensors and settings of ours. One function per format.

Where data is given, the model is measured on it, and its config.json says how good it is on what.
"""

import hashlib
import pickle
import zipfile
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.loader import Where
from shards.lookup import find
from train import imagenet, onnxfile
from train.measured import measure
from train.modelfolder import fill, save
from train.models import crnn
from train.tasks import recognise

# what torch.load raises for pickles with code, cut archives and other files
BROKEN = (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError, LookupError)


@dataclass
class Data(Where):
    """What the model is measured on."""

    split: str = "test"  # val or test


@dataclass(frozen=True)
class Settings(onnxfile.Settings):
    """Which file, and what it is."""

    format: Literal["crnn_pytorch", "onnx", "torchvision"] = "crnn_pytorch"  # whose file it is
    leaky_relu: bool = False  # crnn_pytorch: weights cannot tell whether the model was built with leaky_relu
    model: Any = field(default=None, metadata={"seam": "train.models"})
    data: Data = field(default_factory=Data)  # measured on, where data.root is given
    json: bool = False  # print the result as JSON on the last line

    def __post_init__(self) -> None:
        for name in ("weights", "out"):
            if not getattr(self, name):
                raise BadSettings(f"{name}= is required")
        takes = {"weights", "out", "format", "json", *TAKES[self.format]}
        strange = [
            f.name for f in fields(self) if f.name not in takes and getattr(self, f.name) != _default(f)
        ]
        if strange:
            raise BadSettings(f"format={self.format} takes no {', '.join(strange)}")
        if self.format == "torchvision" and self.model is None:
            raise BadSettings(f"format=torchvision: model= is required; {imagenet.FIT}")


TAKES = {
    "crnn_pytorch": {"leaky_relu", "data"},
    "onnx": {"data", *(f.name for f in fields(onnxfile.Settings))},
    "torchvision": {"image", "model"},
}


def _default(setting: Any) -> Any:
    return setting.default if setting.default_factory is MISSING else setting.default_factory()


def import_crnn_pytorch(
    weights: Path, out: Path, leaky_relu: bool = False, data: Where | None = None
) -> list[str]:
    """A state dict of GitYCC/crnn-pytorch or a fork of it to a model folder: 36 characters, 32x100 grey.

    The shapes tell the sizes; `leaky_relu` is the one choice that leaves no trace in them.
    """
    tensors = _state_dict(Path(weights), "cnn.conv0.weight")
    try:
        settings = crnn.Settings(
            channels=[tensors[f"cnn.conv{i}.weight"].shape[0] for i in range(7)],
            map_to_seq=tensors["map_to_seq.weight"].shape[0],
            rnn_hidden=tensors["rnn1.weight_hh_l0"].shape[1],
            leaky_relu=leaky_relu,
        )
    except (KeyError, IndexError) as error:
        raise BadData(f"{weights}: no crnn_pytorch weights, {error}; holds {_some(tensors)}") from None
    task = recognise.Task(recognise.Settings("36"), ImageSpec())
    model = crnn.Model(settings, task.image, task.channels)
    fill(model, tensors, str(weights))
    _keep(Path(out), model, task, "crnn", _source("crnn_pytorch", weights), data)
    return []


def import_onnx(settings: Settings) -> list[str]:
    """An ONNX recogniser to a model folder; returns what there is to say about its characters."""
    model, task, notes = onnxfile.read(settings)
    source = _source("onnx", settings.weights) | {"characters": notes}
    _keep(Path(settings.out), model, task, "onnx", source, settings.data)
    return notes


def import_torchvision(settings: Settings) -> list[str]:
    """ImageNet weights of torchvision to a model folder whose trunk has them; returns which tensors.

    The head is fresh, so the folder is one to begin a training from (init_from=, init_parts=cnn).
    """
    name = settings.model.name
    tensors = _state_dict(Path(settings.weights), imagenet.landmark(name))
    task = recognise.Task(recognise.Settings("36"), settings.image)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # the same file gives the same folder
        model = find("train.models", name).Model(settings.model.settings, task.image, task.channels)
    notes = imagenet.take(model, name, tensors, task.image, settings.weights).notes()
    source = _source("torchvision", settings.weights) | {"tensors": notes}
    _keep(Path(settings.out), model, task, name, source, None)
    return notes


def _source(form: str, weights: str | Path) -> dict[str, Any]:
    return {"format": form, "sha256": hashlib.sha256(Path(weights).read_bytes()).hexdigest()}


def _keep(out: Path, model: Any, task: Any, name: str, source: dict[str, Any], data: Where | None) -> None:
    """Writes the model folder, with figures where there is data to measure on."""
    told = measure(model, task, data) if data is not None and data.root else {}
    extra = {"decoder": {"name": "greedy"}, "source": source, **told}
    save(out, model, task, model_name=name, task_name="recognise", extra=extra)


def _state_dict(weights: Path, landmark: str) -> dict[str, Tensor]:
    """The tensors of a .pt file without the prefix (`module.` and the like) that wrappers add.

    landmark: the name of a tensor that tells what stands before it.
    """
    try:
        raw = torch.load(weights, weights_only=True, map_location="cpu")
    except OSError as error:
        raise BadData(f"{weights}: {error.strerror or error}") from None
    except BROKEN as error:
        raise BadData(f"{weights}: not a file of tensors alone: {str(error).splitlines()[0]}") from None
    if not isinstance(raw, dict):
        raise BadData(f"{weights}: holds {type(raw).__name__}, not a state dict")
    strange = [f"{key!r} ({type(v).__name__})" for key, v in raw.items() if not isinstance(v, Tensor)]
    if strange or not all(isinstance(key, str) for key in raw):
        raise BadData(f"{weights}: holds more than named tensors: {', '.join(strange[:5])}")
    prefix = next((name.removesuffix(landmark) for name in raw if name.endswith(landmark)), "")
    return {name.removeprefix(prefix): value for name, value in raw.items()}


def _some(tensors: dict[str, Tensor]) -> str:
    return ", ".join(list(tensors)[:5]) + (", ..." if len(tensors) > 5 else "") or "nothing"


FORMATS = {
    "crnn_pytorch": lambda s: import_crnn_pytorch(Path(s.weights), Path(s.out), s.leaky_relu, s.data),
    "onnx": import_onnx,
    "torchvision": import_torchvision,
}
