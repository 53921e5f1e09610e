"""Steps: what `fit` drives. A Step is an nn.Module from an item to named losses: one module for DDP."""

from typing import Any

import torch
from torch import Tensor, nn

from shards.loader import Batch
from train.models import Output, answer

PULL = "grad/"  # terms named so are squared norms, which add up over micro-batches and ranks; told as norms


class TaskStep(nn.Module):
    """A teacher's step: the model's answer to a batch against the task's loss.

    changes: of the task's loss, of train.losses. progress: how much of the run is behind it, 0 to 1; watched:
    whether this step's terms are looked at.
    """

    progress, watched = 0.0, False

    def __init__(self, model: nn.Module, task: Any, changes: nn.ModuleDict | None = None) -> None:
        super().__init__()
        self.model, self.task, self.changes = model, task, changes or nn.ModuleDict()

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Named scalar losses of this rank; "loss" is the one that is differentiated."""
        terms = self.told_by_task(self.answer(batch), batch)
        out = {name: mean(values, batch) for name, values in terms.items()}
        return {"loss": out["task"], **out}

    def told_by_task(self, output: Output, batch: Batch) -> dict[str, Tensor]:
        """The task's loss "task" [N], changed by what was asked for, and what is watched beside it."""
        terms = self.task.loss(output, batch.targets)
        for change in self.changes.values():
            terms |= change(terms["task"], output, batch.targets)
        return terms

    @property
    def formula(self) -> str:
        """What "loss" is, in words."""
        return " then ".join(["task", *self.changes])

    def told(self, terms: dict[str, float]) -> None:
        """Hears the terms of a watched step, over the global batch; a Stop ends the run."""

    def answer(self, batch: Batch) -> Output:
        """The model's output for a batch."""
        return answer(self.model, batch)


def mean(values: Tensor, batch: Batch) -> Tensor:
    """Per-sample values [N] to this rank's share of the mean over the global batch's valid samples."""
    return torch.where(batch.valid, values, 0.0).sum() / batch.denominator
