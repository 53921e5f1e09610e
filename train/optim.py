"""Which weights move how fast: the groups that every optimiser is given, and parts that move slower or never.

The rate itself is a pure function of the step (train.schedules): nothing to save, nothing to drift.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import nn

from shards.config import Choice
from shards.errors import BadSettings
from shards.lookup import find, unknown
from shards.typed import check_ranges

STILL = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)  # what two modes make differ
SHARE = "share"  # of the rate, in a group of parameters


@dataclass(frozen=True)
class Settings:
    """What every optimiser has."""

    lr: float = 1e-3  # peak learning rate
    weight_decay: float = 1e-4  # on matrices and kernels, not on biases and norms
    parts: list[str] = field(default_factory=list)  # PART:SHARE of the rate, as cnn:0.1; cnn:0 = frozen

    def __post_init__(self) -> None:
        check_ranges(self, "optim.", lr=(0.0, math.inf), weight_decay=(0.0, math.inf))
        if self.lr == 0:
            raise BadSettings("optim.lr: 0.0, must be above 0")
        self.shares()

    def shares(self) -> dict[str, float]:
        """Part -> its share of the rate."""
        found = [_share(text) for text in self.parts]
        if len(dict(found)) < len(found):
            raise BadSettings(f"optim.parts: {','.join(self.parts)}, a part is given twice")
        return dict(found)


@dataclass(frozen=True)
class Optimizing:
    """How a run's weights move: the chosen optimiser and schedule."""

    chosen: Choice  # of train.optimizers
    schedule: Choice  # of train.schedules

    def optimizer(self, step: nn.Module) -> torch.optim.Optimizer:
        """The optimiser over the trainable parameters of `step`, whose `model` has the parts.

        Freezes the parts whose share is 0. Groups hold `share`, which the rate is multiplied by. Parameters
        of one dimension do not decay.
        """
        shares, groups = self.chosen.settings.shares(), []
        named = _parts(step, shares)
        for parameter in (p for name, some in named.items() if shares.get(name) == 0 for p in some):
            parameter.requires_grad_(False)
        for share in dict.fromkeys([1.0, *shares.values()]):
            mine = [
                p for n, ps in named.items() if shares.get(n, 1.0) == share for p in ps if p.requires_grad
            ]
            for flat, decay in ((False, self.chosen.settings.weight_decay), (True, 0.0)):
                if some := [p for p in mine if (p.ndim <= 1) == flat]:
                    groups.append({"params": some, "weight_decay": decay, SHARE: share})
        if not groups:
            raise BadSettings(f"optim.parts: {', '.join(self.chosen.settings.parts)} freezes all there is")
        return find("train.optimizers", self.chosen.name).build(groups, self.chosen.settings)

    def frozen(self, model: nn.Module) -> list[nn.Module]:
        """What in the frozen parts stays in evaluation mode: statistics do not move, nothing is dropped.

        Recurrent layers do not: cuDNN passes no gradient through them in evaluation mode.
        """
        shares = self.chosen.settings.shares()
        parts = [child for name, child in model.named_children() if shares.get(name) == 0]
        return [module for part in parts for module in part.modules() if isinstance(module, STILL)]

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step in 0 .. steps-1."""
        share = find("train.schedules", self.schedule.name).share(self.schedule.settings, step, steps)
        return self.chosen.settings.lr * share


def check_memories(settings: Settings, *names: str) -> None:
    """Refuses memories (decays of running means) outside of 0 <= x < 1."""
    for name in names:
        if not 0 <= getattr(settings, name) < 1:
            raise BadSettings(f"optim.{name}: {getattr(settings, name)}, must be at least 0 and below 1")


def _parts(step: nn.Module, shares: Mapping[str, float]) -> dict[str, list[nn.Parameter]]:
    """Part -> its parameters; what belongs to no named part stands under "". An unknown part is refused."""
    model = getattr(step, "model", step)
    children = dict(model.named_children())
    if strange := [name for name in shares if name not in children]:
        raise BadSettings(unknown("optim.parts", strange[0], list(children)))
    if bare := [name for name in shares if not list(children[name].parameters())]:
        raise BadSettings(f"optim.parts: {bare[0]} has no weights")
    owner = {id(p): name for name in shares for p in children[name].parameters()}
    found: dict[str, list[nn.Parameter]] = {}
    for parameter in step.parameters():
        found.setdefault(owner.get(id(parameter), ""), []).append(parameter)
    return found


def _share(text: str) -> tuple[str, float]:
    name, colon, value = text.partition(":")
    try:
        share = float(value)
    except ValueError:
        share = math.nan
    if not name or not colon or not 0 <= share < math.inf:
        raise BadSettings(f"optim.parts: {text!r} is not PART:SHARE with a share of 0 or more, as cnn:0.1")
    return name, share
