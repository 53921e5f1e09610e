"""Foreign weights: files of other projects become tensors and settings of ours. One function per format."""

import hashlib
import pickle
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train.modelfolder import fill, save
from train.models import crnn
from train.tasks import recognise

# what torch.load raises for pickles with code, cut archives and other files
BROKEN = (pickle.UnpicklingError, zipfile.BadZipFile, RuntimeError, EOFError, ValueError, LookupError)


@dataclass(frozen=True, slots=True)
class Settings:
    """Which file, and what it is."""

    weights: str = ""  # the file
    out: str = ""  # the model folder to write
    format: Literal["crnn_pytorch"] = "crnn_pytorch"  # crnn_pytorch: GitYCC/crnn-pytorch and its forks
    leaky_relu: bool = False  # weights cannot tell: whether the model was built with leaky_relu
    json: bool = False  # print the result as JSON on the last line

    def __post_init__(self) -> None:
        for name in ("weights", "out"):
            if not getattr(self, name):
                raise BadSettings(f"{name}= is required")


def import_crnn_pytorch(weights: Path, out: Path, leaky_relu: bool = False) -> None:
    """A state dict of GitYCC/crnn-pytorch or a fork of it to a model folder: 36 characters, 32x100 grey.

    The shapes tell the sizes; `leaky_relu` is the one choice that leaves no trace in them.
    """
    tensors = _state_dict(Path(weights))
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
    source = {"format": "crnn_pytorch", "sha256": hashlib.sha256(Path(weights).read_bytes()).hexdigest()}
    extra = {"decoder": {"name": "greedy"}, "source": source}
    save(out, model, task, model_name="crnn", task_name="recognise", extra=extra)


def _state_dict(weights: Path) -> dict[str, Tensor]:
    """The tensors of a .pt file without the prefix (`module.` and the like) that wrappers add."""
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
    prefix = next((name[: -len("cnn.conv0.weight")] for name in raw if name.endswith("cnn.conv0.weight")), "")
    return {name.removeprefix(prefix): value for name, value in raw.items()}


def _some(tensors: dict[str, Tensor]) -> str:
    return ", ".join(list(tensors)[:5]) + (", ..." if len(tensors) > 5 else "") or "nothing"


FORMATS = {"crnn_pytorch": lambda s: import_crnn_pytorch(Path(s.weights), Path(s.out), s.leaky_relu)}
