"""One optimiser step: gradients of a global batch in micro-batches, clipping, rate, averaged weights."""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from shards.loader import Batch
from train import zero
from train.optim import SHARE, Optimizing
from train.steps import PULL


@dataclass(frozen=True, slots=True)
class Moved:
    """What a step did. terms: losses over the global batch, rate, norm; sums: of the counts over all ranks.

    finite: False = the gradient was not, and the step was skipped.
    """

    terms: dict[str, float]
    finite: bool
    sums: dict[str, float]


class Update:
    """Moves the weights of `step` (its `model` among them). teach: Batch -> what the step takes.

    ema: decay of the averaged weights, 0 = none; steps: optimiser steps of the whole run.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        step: nn.Module,
        teach: Callable[[Batch], Any],
        optimizing: Optimizing,
        steps: int,
        clip: float = 0.0,
        ema: float = 0.0,
    ) -> None:
        self.accelerator, self.teach, self.optimizing, self.steps = accelerator, teach, optimizing, steps
        self.ema = ema
        self.model: nn.Module = step.model  # type: ignore[assignment]
        self.plain: Any = step  # as it was before it was wrapped
        self.frozen = optimizing.frozen(self.model)
        self.average = copy.deepcopy(self.model).requires_grad_(False) if ema else None
        self.step, self.optimizer = accelerator.prepare(step, optimizing.optimizer(step))
        self.mover = (
            zero.Sharded(accelerator, self.step)
            if zero.asked()
            else Replicated(accelerator, self.step, self.optimizer, clip)
        )

    @property
    def judged(self) -> nn.Module:
        """The weights that are evaluated and kept: the average where there is one."""
        return self.model if self.average is None else self.average

    def __call__(
        self, micro: Sequence[Batch], at: int, counts: Callable[[], dict[str, float]], watched: bool = False
    ) -> Moved:
        """Optimiser step `at` over this rank's micro-batches; `counts`, asked at its end, are added up.

        watched: its terms will be looked at.
        """
        self.plain.progress, self.plain.watched = at / self.steps, watched
        self.step.train()
        for part in self.frozen:
            part.eval()
        rate = self.optimizing.rate(at, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group[SHARE]
        total: dict[str, Tensor] = {}
        norm, buffers = 0.0, [buffer.clone() for buffer in self.step.buffers()]
        for batch in micro:
            with self.accelerator.accumulate(self.step):
                losses = self.step(self.teach(batch))
                # accelerate divides by the accumulation; our losses are shares of the whole batch already
                self.mover.backward(losses["loss"] * len(micro))
                if self.accelerator.sync_gradients:
                    norm = self._move(at, buffers)
            for name, value in losses.items():
                total[name] = total.get(name, torch.zeros_like(value.detach())) + value.detach()
        terms, sums = self._over_ranks(total, counts())
        world = self.accelerator.num_processes
        # every rank's terms are `world` times its share, so that their mean is the loss
        terms = {n: math.sqrt(v / world) if n.startswith(PULL) else v for n, v in terms.items()}
        if watched:
            self.plain.told(terms)
        return Moved({**terms, "lr": rate, "grad_norm": norm}, math.isfinite(norm), sums)

    def _move(self, at: int, buffers: list[Tensor]) -> float:
        """Clips and steps, or leaves no trace if the gradient is not finite; its norm, equal on all ranks."""
        norm = self.mover.move()
        finite = math.isfinite(norm)
        if finite and self.average is not None:
            self._average(at, self.average)
        if not finite:  # batch statistics have seen what the weights were spared
            for now, before in zip(self.step.buffers(), buffers, strict=True):
                now.copy_(before)
        return norm

    def _average(self, at: int, average: nn.Module) -> None:
        # A short memory at the start: the first weights are noise.
        decay = min(self.ema, (1 + at) / (10 + at))
        with torch.no_grad(), zero.whole(self.model):
            for mine, theirs in zip(average.parameters(), self.model.parameters(), strict=True):
                mine.lerp_(theirs.detach(), 1 - decay)
            for mine, theirs in zip(average.buffers(), self.model.buffers(), strict=True):
                mine.copy_(theirs)

    def _over_ranks(self, total: dict[str, Tensor], counts: dict[str, float]) -> tuple[dict, dict]:
        """Means of the losses and sums of the counts over the ranks, in one message."""
        world, names = self.accelerator.num_processes, sorted(total)
        values = torch.stack([total[name].float() for name in names])
        extra = torch.tensor([world * float(v) for v in counts.values()], device=values.device)
        reduced: Any = self.accelerator.reduce(torch.cat([values, extra]), "mean")
        mean = reduced.tolist()
        return dict(zip(names, mean, strict=False)), dict(zip(counts, mean[len(names) :], strict=True))


class Replicated:
    """Backward and step where every process holds all weights: one process, or DDP."""

    def __init__(self, accelerator: Accelerator, step: nn.Module, optimizer: Any, clip: float) -> None:
        self.accelerator, self.step, self.optimizer, self.clip = accelerator, step, optimizer, clip

    def backward(self, loss: Tensor) -> None:
        """Adds gradients."""
        self.accelerator.backward(loss)

    def move(self) -> float:
        """Clips and steps, unless the gradient is not finite; its norm before that, equal on all ranks."""
        found: Any = self.accelerator.clip_grad_norm_(self.step.parameters(), self.clip or math.inf)
        norm = float(found)
        if math.isfinite(norm) or self.accelerator.scaler is not None:
            self.optimizer.step()  # in fp16 the scaler skips the step and lowers its scale
        self.optimizer.zero_grad()
        return norm
