"""Seam: one file per change of the task's loss: `Settings` (a dataclass), `Loss(settings, task, features)`.

A Loss is an nn.Module, whose parameters train with the model and never stand in its folder. features: name ->
shape of a feature of one sample. `forward(loss, output, targets)`, with the task's loss so far [N], answers
{"task": the new loss [N], other names: what is watched [N]}, in fp32; where the old loss is 0 because a label
cannot teach (no label, or one that its sample's own steps do not spell: `train.ctc.fits`), the new one is 0.
They apply in the order given; a member that takes the task's own loss alone says `FIRST = True`. `PAPER` and
`FORMULA`: `loss=?` shows them.
Letters: N samples, L time steps, C classes (class 0 the blank).
"""

from types import ModuleType
from typing import Any

from torch import nn

from shards.errors import BadSettings
from shards.lookup import find
from train.shapes import features_of


def make(chosen: dict[str, Any], model: nn.Module, task: Any) -> nn.ModuleDict:
    """The chosen changes, in their order; settings by name of the member."""
    members = {name: find("train.losses", name) for name in chosen}
    if late := [name for name in list(chosen)[1:] if getattr(members[name], "FIRST", False)]:
        raise BadSettings(
            f"loss=[{','.join(chosen)}]: {late[0]} weighs the task's own loss and must stand first"
        )
    features = features_of(model, task.image) if chosen else {}
    return nn.ModuleDict({name: members[name].Loss(chosen[name], task, features) for name in chosen})


def about(member: ModuleType) -> dict[str, str]:
    """What `loss=?` tells of a member, beside its opening sentence."""
    return {"formula": member.FORMULA, "paper": member.PAPER}
