"""Contract 4: the model folder. config.json, model.safetensors, README.md and sha256sums, and nothing that can run.

Loading needs the path alone. A folder is written beside its place and swapped in by renames, so that a reader
finds the old one or the new one, whole. The same model gives the same bytes on any day and machine.
"""

import hashlib
import json
import os
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.lookup import find

FORMAT = 1
FILES = ("README.md", "config.json", "model.safetensors")
SUMS = "sha256sums"
OWN = ("format", "task", "model", "image")  # what `save` itself writes into config.json


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model in eval mode, its task, and the whole config.json."""

    model: nn.Module
    task: Any
    config: dict[str, Any]


def save(folder: str | Path, model: nn.Module, task: Any, *, model_name: str, task_name: str, extra: dict) -> None:
    """Writes the model folder, replacing the one that stands there.

    extra: what else config.json shall hold (decoder, metrics, data, teacher, code ...): JSON values, finite, and
    free of clocks, hosts and paths, since they go into the card as well.
    """
    taken = sorted(set(OWN) & set(extra))
    if taken:
        raise ValueError(f"config.json: {', '.join(taken)} cannot come from extra")
    config = {
        "format": FORMAT,
        "task": {"name": task_name, "settings": asdict(task.settings)},
        "model": {"name": model_name, "settings": asdict(model.settings)},
        "image": asdict(task.image),
        **extra,
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    count = sum(p.numel() for p in model.parameters())
    text = json.dumps(config, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False) + "\n"
    content = {
        "README.md": _card(config, count).encode(),
        "config.json": text.encode(),
        "model.safetensors": safetensors.torch.save(tensors),
    }
    lines = [f"{hashlib.sha256(content[name]).hexdigest()}  {name}\n" for name in FILES]
    _swap(Path(os.path.abspath(folder)), content | {SUMS: "".join(lines).encode()})


def load(folder: str | Path, device: str | torch.device = "cpu") -> Loaded:
    """The model of a folder; BadData names the file that is missing, damaged, foreign or does not fit."""
    folder = Path(os.path.abspath(folder))
    place, content = _read(folder)
    config = _json(content["config.json"], place / "config.json")
    tensors = _tensors(content["model.safetensors"], place / "model.safetensors")
    try:
        image = ImageSpec(**config["image"])
        tasks = find("train.tasks", config["task"]["name"])
        task = tasks.Task(tasks.Settings(**config["task"]["settings"]), image)
        models = find("train.models", config["model"]["name"])
        model = models.Model(models.Settings(**config["model"]["settings"]), image, task.channels)
    except (BadSettings, KeyError, TypeError, ValueError) as error:
        reason = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise BadData(f"{place / 'config.json'}: {reason}") from None
    fill(model, tensors, str(place / "model.safetensors"))
    return Loaded(model.to(device).eval(), task, config)


def weights_digest(folder: str | Path) -> str:
    """sha256 over names, types, shapes and values of the tensors of a model folder."""
    place, content = _read(Path(os.path.abspath(folder)))
    digest = hashlib.sha256()
    for name, value in sorted(_tensors(content["model.safetensors"], place / "model.safetensors").items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def fill(model: nn.Module, tensors: dict[str, Tensor], where: str) -> None:
    """Copies tensors into a model; BadData lists every name, shape and type that does not fit."""
    own = model.state_dict()
    wrong = [f"missing {name}" for name in own if name not in tensors]
    wrong += [f"unknown {name}" for name in tensors if name not in own]
    for name, value in tensors.items():
        want = own.get(name, value)
        if (value.shape, value.dtype) != (want.shape, want.dtype):
            wrong.append(f"{name} is {_kind(value)}, the model has {_kind(want)}")
    if wrong:
        raise BadData(f"{where}: {'; '.join(wrong)}")
    model.load_state_dict(tensors)


def _kind(value: Tensor) -> str:
    return f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)}"


def heal(folder: str | Path) -> None:
    """Ends a swap that a crash cut short; only the owner of the folder may, when nobody is writing it."""
    folder = Path(os.path.abspath(folder))
    part, old = _beside(folder)
    standing = _standing(folder)
    if standing != folder and standing.exists():
        os.replace(standing, folder)
    for rest in (part, old):
        if rest.exists():
            shutil.rmtree(rest)


def _beside(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(folder.name + ".part"), folder.with_name(folder.name + ".old")


def _standing(folder: Path) -> Path:
    """Where the newest whole version is: in its place, or (a crash between two renames) beside it."""
    part, old = _beside(folder)
    if folder.exists() or not old.exists():
        return folder
    return part if _whole(part) else old


def _whole(folder: Path) -> bool:
    try:
        _checked(folder)
    except BadData:
        return False
    return True


def _swap(folder: Path, content: dict[str, bytes]) -> None:
    heal(folder)
    if folder.exists() and (not folder.is_dir() or (any(folder.iterdir()) and not (folder / "config.json").exists())):
        raise BadSettings(f"{folder} holds something else than a model; it is not replaced")
    part, old = _beside(folder)
    part.mkdir(parents=True)
    for name, data in content.items():
        with open(part / name, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    _fsync(part)
    if folder.exists():
        os.replace(folder, old)
    os.replace(part, folder)
    _fsync(folder.parent)
    if old.exists():
        shutil.rmtree(old)


def _fsync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _read(folder: Path) -> tuple[Path, dict[str, bytes]]:
    """The folder that stands and its checked files; reads again when the folder was swapped meanwhile."""
    while True:
        before = _identity(folder)
        place = _standing(folder)
        try:
            return place, _checked(place)
        except BadData:
            if _identity(folder) == before:
                raise


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        return folder.stat().st_ino, folder.stat().st_mtime_ns
    except OSError:
        return None


def _checked(folder: Path) -> dict[str, bytes]:
    """Every file of a model folder, compared with sha256sums."""
    if not folder.is_dir():
        raise BadData(f"{folder}: no such model folder")
    sums = {}
    for number, line in enumerate(_bytes(folder / SUMS).decode("utf-8", "replace").splitlines(), start=1):
        digest, gap, name = line.partition("  ")
        if not gap or name not in FILES:
            raise BadData(f"{folder / SUMS}:{number}: not a checksum of {', '.join(FILES)}: {line[:100]!r}")
        sums[name] = digest
    content = {}
    for name in FILES:
        if name not in sums:
            raise BadData(f"{folder / SUMS}: no checksum of {name}")
        content[name] = _bytes(folder / name)
        if hashlib.sha256(content[name]).hexdigest() != sums[name]:
            hint = f"if the change was meant: sha256sum {' '.join(FILES)} > {SUMS}"
            raise BadData(f"{folder / name}: differs from its checksum in {SUMS} ({hint})")
    return content


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}") from None


def _json(data: bytes, path: Path) -> dict[str, Any]:
    try:
        config = json.loads(data)
    except ValueError as error:
        raise BadData(f"{path}: {error}") from None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        found = config.get("format") if isinstance(config, dict) else type(config).__name__
        raise BadData(f"{path}: format {found!r}, this version reads {FORMAT}")
    return config


def _tensors(data: bytes, path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(data)
    except (safetensors.SafetensorError, KeyError, ValueError, RuntimeError) as error:
        raise BadData(f"{path}: not a safetensors file: {error}") from None
