"""Where the weights of a checkpoint do not fit a run: what differs, with both values, and what goes on."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from omegaconf import OmegaConf
from torch import Tensor

from shards import config, presets
from shards.config import Choice

LONGEST = 40  # characters of a text that is shown whole


@dataclass
class _One:
    model: Any = field(metadata={"seam": "train.models"})


@dataclass(slots=True)
class Mismatch:
    """told: what differs; ways: settings that go on with the checkpoint."""

    told: list[str] = field(default_factory=list)
    ways: list[str] = field(default_factory=list)

    def compare(self, group: str, there: dict[str, Any], here: dict[str, Any], way: str = "") -> None:
        """Adds the settings of a group that differ. way: one for all of them, instead of the checkpoint's."""
        differ = [key for key in there if there[key] != here[key]]
        self.told += [_both(f"{group}.{key}", there[key], here[key]) for key in differ]
        self.ways += [way or f"{group}.{key}={_typed(there[key])}" for key in differ[: 1 if way else None]]

    def compare_models(self, there: Choice, here: Choice) -> None:
        """Adds what differs between two architectures."""
        if there.name == here.name:
            self.compare("model", config.plain(there.settings), config.plain(here.settings), command(there))
        else:
            self.told.append(_both("model", there.name, here.name))
            self.ways.append(command(there))

    def __str__(self) -> str:
        return ", ".join(self.told)


def command(model: Choice) -> str:
    """The fewest settings that ask for a model."""
    wanted, found = config.plain(model.settings), []
    for name in presets.names("model", _One):
        path = presets.CONFIGS / "model" / f"{name}.yaml"
        tree: Any = OmegaConf.to_container(OmegaConf.load(path)) if path.exists() else {"name": name}
        if tree["name"] == model.name:
            own = config.plain(config.build(_One, {"model": tree}).model.settings)
            more = [f"model.{key}={_typed(wanted[key])}" for key in wanted if wanted[key] != own[key]]
            found.append([f"model={name}", *more])
    return " ".join(min(found, key=len))


def fitting(theirs: dict[str, Tensor], mine: dict[str, Tensor], strange: Collection[str]) -> list[str]:
    """The parts (cnn, rnn1, ...) of a model that another one can take; strange: tensors that mean others."""
    parts: dict[str, bool] = {}
    for name, value in theirs.items():
        fits = name in mine and value.shape == mine[name].shape and name not in strange
        part = name.partition(".")[0]
        parts[part] = parts.get(part, True) and fits
    return [part for part, fits in parts.items() if fits]


def _both(name: str, there: Any, here: Any) -> str:
    if isinstance(there, str) and isinstance(here, str) and max(len(there), len(here)) > LONGEST:
        pairs = zip(there, here, strict=False)
        at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(there), len(here)))
        a, b = (repr(text[at]) if at < len(text) else "nothing" for text in (there, here))
        return (
            f"{name} has {len(there):,} characters there, {len(here):,} in this run, "
            f"the first that differ at index {at:,}: {a} there, {b} in this run"
        )
    return f"{name} is {_typed(there)}, this run has {_typed(here)}"


def _typed(value: Any) -> str:
    """A value as the command line takes it."""
    if isinstance(value, list):
        return f"[{','.join(map(_typed, value))}]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)
