"""Contract 4: the model folder: config.json, model.safetensors, README.md, sha256sums; nothing that can run.

Loading needs the path alone: config.json names the task and the model and holds their settings. The same
model gives the same bytes on any day and machine.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from shards import config
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.lock import awaited
from shards.lookup import find
from train import decoders, exported, sealed
from train.card import OWN, card
from train.formats import Run

FORMAT = 1
WEIGHTS = "model.safetensors"
FILES = ("README.md", "config.json", WEIGHTS)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in eval mode, its task (see their seams), the whole config.json, and the size of what holds
    the weights.
    """

    model: Any
    task: Any
    config: dict[str, Any]
    bytes: int

    @property
    def parameters(self) -> int:
        """How many; of an exported model, those of the checkpoint."""
        told = self.config.get("answers", {}).get("parameters")
        return int(told or sum(p.numel() for p in self.model.parameters()))


def save(
    folder: str | Path, model: Any, task: Any, *, model_name: str, task_name: str, extra: dict[str, Any]
) -> None:
    """Writes the model folder, replacing the one that stands there.

    extra: what else config.json shall hold (decoder, metrics, data, teacher, code ...): JSON values, finite,
    free of clocks, hosts and paths, since they stand in the card as well.
    """
    taken = sorted(set(OWN) & set(extra))
    if taken:
        raise ValueError(f"config.json: {', '.join(taken)} cannot come from extra")
    told = {
        "format": FORMAT,
        "task": {"name": task_name, "settings": asdict(task.settings)},
        "model": {"name": model_name, "settings": asdict(model.settings)},
        "image": asdict(task.image),
        **extra,
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    weights = safetensors.torch.save(tensors)
    sealed.write(Path(folder), {**_texts(told, model, weights), WEIGHTS: weights})


def load(
    folder: str | Path, device: str | torch.device = "cpu", decoder: config.Choice | None = None
) -> Loaded:
    """The model of a folder, or of a file of train.export; BadData names the file that is missing, damaged,
    foreign or does not fit.

    decoder: instead of the one that config.json names.
    """
    place = Path(folder)
    if place.is_file():
        text, run = exported.opened(place)
        told, where = _config(text.encode(), place), place
        make = partial(_exported, run, told, place)
        size = exported.size(place)
    else:
        place, content = _found(place)
        where = place / "config.json"
        told = _config(content["config.json"], where)
        make = partial(_built, told, content[WEIGHTS], place / WEIGHTS)
        size = len(content[WEIGHTS])
    try:
        image = ImageSpec(**told["image"])
        tasks = find("train.tasks", told["task"]["name"])
        task = tasks.Task(tasks.Settings(**told["task"]["settings"]), image)
        chosen = decoder or decoders.own(told.get("decoder"))
        temperature = _temperature(told, chosen)
        model = make(image, task.channels)
    except KeyError as error:
        raise BadData(f"{where}: no {error}") from None
    except (BadSettings, TypeError, ValueError, RuntimeError) as error:
        raise BadData(f"{where}: {error}") from None
    task.read_by(chosen, temperature)
    return Loaded(model.to(device).eval(), task, told, size)


def _found(folder: Path) -> tuple[Path, dict[str, bytes]]:
    best = folder / "best"
    if (best / "config.json").exists() and not (folder / "config.json").exists():
        raise BadData(f"{folder}: a run folder, not a model folder; try {best}")
    return sealed.read(folder, FILES)


def _built(told: dict[str, Any], weights: bytes, where: Path, image: ImageSpec, channels: int) -> nn.Module:
    models = find("train.models", told["model"]["name"])
    model = models.Model(models.Settings(**told["model"]["settings"]), image, channels)
    fill(model, _tensors(weights, where), str(where))
    return model


def _exported(run: Run, told: dict[str, Any], where: Path, image: ImageSpec, channels: int) -> nn.Module:
    alone = bool(told.get("precision", {}).get("alone"))
    return exported.Model(run, exported.answers_of(told, where), image, alone)


def _temperature(told: dict[str, Any], decoder: config.Choice) -> float:
    """That of the confidences, as `train.calibrate` found it for this decoder; 1 where it was not asked."""
    if told.get("calibration", {}).get("decoder", decoder.name) != decoder.name:
        return 1.0
    found = float(told.get("calibration", {}).get("temperature", 1.0))
    if not 0 < found < float("inf"):
        raise ValueError(f"calibration.temperature: {found}, must be above 0")
    return found


def amend(folder: str | Path, changes: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Replaces entries of config.json that `save` took as extra; the card and the checksums follow.

    changes: those of the config.json that stands there; nobody else amends it meanwhile. Files that are not
    the model's stay in the folder.
    """
    place = Path(folder).resolve()
    with awaited(place.parent):
        model = load(place).model
        at, content = sealed.read(place, FILES)
        told = _config(content["config.json"], at / "config.json")
        content |= _texts(told | changes(told), model, content[WEIGHTS])
        sealed.update(place, content)


def _texts(told: dict[str, Any], model: nn.Module, weights: bytes) -> dict[str, bytes]:
    """The files of a model folder that hold text, but for the checksums."""
    config, tensors = text_of(told).encode(), safetensors.torch.load(weights)
    parameters = sum(p.numel() for p in model.parameters())
    hashes = {WEIGHTS: hashlib.sha256(weights).hexdigest(), "its tensors": _digest(tensors)}
    return {"README.md": card(told, parameters, hashes).encode(), "config.json": config}


def text_of(told: dict[str, Any]) -> str:
    """A config.json, the same on every day."""
    return json.dumps(told, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"


def weights_digest(folder: str | Path) -> str:
    """sha256 over names, types, shapes and values of the tensors of a model folder."""
    place, content = sealed.read(Path(folder), FILES)
    return _digest(_tensors(content[WEIGHTS], place / WEIGHTS))


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {_kind(value)}\n".encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def fill(model: nn.Module, tensors: dict[str, Tensor], where: str) -> None:
    """Copies tensors into a model; BadData lists every name, shape and type that does not fit."""
    own = model.state_dict()
    wrong = [f"missing {name}" for name in own if name not in tensors]
    wrong += [f"unknown {name}" for name in tensors if name not in own]
    wrong += [
        f"{name} is {_kind(value)}, the model has {_kind(own[name])}"
        for name, value in tensors.items()
        if name in own and _kind(value) != _kind(own[name])
    ]
    if wrong:
        raise BadData(f"{where}: {'; '.join(wrong)}")
    model.load_state_dict(tensors)


def _kind(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"


def _config(data: bytes, path: Path) -> dict[str, Any]:
    try:
        told = json.loads(data)
    except ValueError as error:
        raise BadData(f"{path}: {error}") from None
    found = told.get("format") if isinstance(told, dict) else type(told).__name__
    if found != FORMAT:
        raise BadData(f"{path}: format {found!r}, this version reads {FORMAT}")
    return told


def _tensors(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise BadData(f"{path}: not a safetensors file: {error}") from None
