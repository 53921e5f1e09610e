"""THE loop, for teachers and students alike: train, evaluate, keep the best, survive.

One position (epoch, step) is the whole state of the data; everything else is in the newest folder of state/. Evaluation
comes at step 0, after each epoch and at the end; `best` and `last` always exist.
"""

import copy
import json
import math
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from shards.errors import BadSettings, GateFailed, Preempted
from shards.loader import Batch, Loader
from shards.progress import Reporter
from train import optim, state
from train.runfolder import RunFolder
from train.runtime import StopRequest, agree_on_buffers, gather
from train.speed import Speed
from train.state import Position

NONFINITE_IN_A_ROW = 10


@dataclass
class Settings:
    """How long, how large, how exact."""

    epochs: int = 10  # passes over the training samples
    batch: int = 128  # samples per optimiser step, over all processes
    accumulation: int = 1  # micro-batches per step and process
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"  # of the model; losses are fp32 always
    clip: float = 5.0  # largest gradient norm, 0 = no clipping
    ema: float = 0.0  # decay of the averaged weights that are evaluated and kept, 0 = none
    patience: int = 0  # evaluations without a better one before stopping, 0 = never stop early
    eval_every: int = 1  # epochs between evaluations
    save_every: int = 0  # optimiser steps between saved states beside those at evaluations, 0 = none
    log_every: int = 10  # optimiser steps between lines of metrics.jsonl
    select: str = "word_acc"  # the metric by which `best` is chosen, larger is better


def seconds_of(text: str) -> float:
    """`45m`, `2h30m`, `90s` or a number of seconds; empty = no limit."""
    if not text:
        return math.inf
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text)
    if not match:
        raise BadSettings(f"time_limit: {text!r} is not a time like 45m, 2h30m or 90s")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return 3600.0 * hours + 60.0 * minutes + rest


class Loop:
    """One run. teach: Batch -> what the step takes; judge(model) -> metrics; keep(folder, model, metrics) writes a model."""

    def __init__(
        self,
        accelerator: Accelerator,
        step: nn.Module,
        loader: Loader,
        teach: Callable[[Batch], Any],
        judge: Callable[[nn.Module], dict[str, float]],
        keep: Callable[[Path, nn.Module, dict[str, float]], None],
        folder: RunFolder,
        report: Reporter,
        settings: Settings,
        optimizing: optim.Settings,
        time_limit: str = "",
    ) -> None:
        self.accelerator, self.loader, self.teach, self.judge, self.keep = (
            accelerator,
            loader,
            teach,
            judge,
            keep,
        )
        self.folder, self.report, self.settings, self.optimizing = folder, report, settings, optimizing
        self.model: nn.Module = step.model  # type: ignore[assignment]
        self.shadow = copy.deepcopy(self.model).requires_grad_(False) if settings.ema else None
        self.step, self.optimizer = accelerator.prepare(step, optim.optimizer(step, optimizing))
        self.time_limit, self.limit = time_limit, seconds_of(time_limit)
        self.at = Position()
        self.metrics: dict[str, float] = {}
        self.stop = StopRequest()
        self._begun, self._in_a_row = time.monotonic(), 0

    @property
    def judged(self) -> nn.Module:
        """The weights that are evaluated and kept: the average where there is one."""
        return self.shadow if self.shadow is not None else self.model

    @property
    def steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.settings.epochs * self.loader.plan.steps

    def run(self) -> Position:
        """Trains to the end; Preempted if asked to stop, with everything saved."""
        try:
            self._resume()
            while True:
                if self._due():
                    self._evaluate()
                if self._ended():
                    return self.at
                self._epoch()
        finally:
            self.stop.close()

    def _ended(self) -> str:
        if self.at.epoch >= self.settings.epochs:
            return "all epochs done"
        if self.settings.patience and self.at.bad >= self.settings.patience:
            return f"no better evaluation for {self.at.bad} evaluations"
        # The clock of rank 0 decides for all, or ranks would part.
        over = gather(self.accelerator, self._seconds() >= self.limit)[0]
        return f"time limit {self.time_limit} reached" if over else ""

    def _due(self) -> bool:
        if self.at.evaluated == self.at.global_step:
            return False
        return bool(self._ended()) or (self.at.step == 0 and self.at.epoch % self.settings.eval_every == 0)

    def _seconds(self) -> float:
        return self.at.seconds + time.monotonic() - self._begun

    def _epoch(self) -> None:
        """Trains from the position to the end of its epoch, or to the time limit."""
        micro: list[Batch] = []
        meter = Speed(self.loader.plan.global_batch)
        for batch in meter.waits(self.loader.batches(self.at.epoch, self.at.step)):
            micro.append(batch)
            if len(micro) < self.settings.accumulation:
                continue
            terms = self._train(micro)
            micro = []
            self._moved()
            self._tell(terms, meter)
            self._maybe_stop()
            if self.at.step == 0 or (self.limit < math.inf and self._ended()):
                return
            if self.settings.save_every and self.at.global_step % self.settings.save_every == 0:
                self._save()

    def _moved(self) -> None:
        self.at.global_step += 1
        self.at.step += 1
        if self.at.step == self.loader.plan.steps:
            self.at.epoch, self.at.step = self.at.epoch + 1, 0

    def _train(self, micro: list[Batch]) -> dict[str, float]:
        """One optimiser step; returns the losses over the global batch. A non-finite gradient skips the step."""
        self.step.train()
        rate = optim.rate(self.optimizing, self.at.global_step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        total: dict[str, Tensor] = {}
        norm = torch.zeros(())
        for batch in micro:
            with self.accelerator.accumulate(self.step):
                losses = self.step(self.teach(batch))
                # accelerate divides by the accumulation; our losses are shares of the whole batch already
                self.accelerator.backward(losses["loss"] * self.settings.accumulation)
                if self.accelerator.sync_gradients:
                    norm = self.accelerator.clip_grad_norm_(
                        self.step.parameters(), self.settings.clip or math.inf
                    )
                    if self._finite(norm, micro):
                        self.optimizer.step()
                        self._average()
                    self.optimizer.zero_grad()
            for name, value in losses.items():
                total[name] = total.get(name, torch.zeros_like(value.detach())) + value.detach()
        self.at.damaged += sum(len(batch.damage) for batch in micro)
        names = sorted(total)
        mean = self.accelerator.reduce(torch.stack([total[n].float() for n in names]), "mean").tolist()
        return {**dict(zip(names, mean, strict=True)), "lr": rate, "grad_norm": float(norm)}

    def _finite(self, norm: Tensor, micro: list[Batch]) -> bool:
        if math.isfinite(float(norm)):
            self._in_a_row = 0
            return True
        self.at.nonfinite += 1
        self._in_a_row += 1
        uids = [f"{int(uid):016x}" for batch in micro for uid in batch.uids[batch.valid.cpu()]]
        if self.folder.main:
            with open(self.folder.path / "nonfinite.jsonl", "a") as file:
                file.write(json.dumps({"global_step": self.at.global_step, "uids": uids}) + "\n")
        if self._in_a_row >= NONFINITE_IN_A_ROW:
            raise GateFailed(
                f"{self._in_a_row} steps in a row had a gradient that is not finite (samples in nonfinite.jsonl); "
                "lower optim.lr or fit.precision"
            )
        return False

    def _average(self) -> None:
        if self.shadow is None:
            return
        # A short memory at the start: the first weights are noise.
        decay = min(self.settings.ema, (1 + self.at.global_step) / (10 + self.at.global_step))
        with torch.no_grad():
            for mine, theirs in zip(self.shadow.parameters(), self.model.parameters(), strict=True):
                mine.lerp_(theirs.detach(), 1 - decay)
            for mine, theirs in zip(self.shadow.buffers(), self.model.buffers(), strict=True):
                mine.copy_(theirs)

    def _tell(self, terms: dict[str, float], meter: Speed) -> None:
        """Logs and shows a step."""
        speed, wait = meter.figures()
        if self.at.global_step % self.settings.log_every == 0 or self.at.global_step == 1:
            values = {f"train/{k}": v for k, v in terms.items()}
            values |= {"perf/images_per_s": speed, "perf/data_wait_frac": wait, "epoch": self.at.epoch}
            values |= {"ctc/nonfinite": self.at.nonfinite, "data/damaged": self.at.damaged}
            self.folder.log(self.at.global_step, values)
            self.folder.status("running", global_step=self.at.global_step)
        left = (self.steps - self.at.global_step) * self.loader.plan.global_batch / max(speed, 1e-9)
        accuracy = self.metrics.get(self.settings.select, float("nan"))
        self.report.line(
            f"epoch {self.at.epoch}/{self.settings.epochs} step {self.at.global_step}/{self.steps} "
            f"loss {terms['loss']:.3f} {self.settings.select} {accuracy:.4f} lr {terms['lr']:.2e} "
            f"{speed:.0f} images/s data wait {100 * wait:.0f} % ETA {int(left) // 60}:{int(left) % 60:02d}"
        )

    def _maybe_stop(self) -> None:
        """Raises Preempted on every rank once any rank was asked to stop."""
        reasons = [r for r in gather(self.accelerator, self.stop.reason if self.stop.asked() else "") if r]
        if reasons:
            self._save()
            raise Preempted(
                f"stopped by {reasons[0]} at step {self.at.global_step}; the same command goes on from there"
            )

    def _evaluate(self) -> None:
        agree_on_buffers(self.accelerator, self.judged)
        self.metrics = self.judge(self.judged)
        if self.settings.select not in self.metrics:
            raise BadSettings(
                f"fit.select: no {self.settings.select!r} (there are: {', '.join(self.metrics)})"
            )
        value = self.metrics[self.settings.select]
        better = value > self.at.best
        if better:
            self.at.best, self.at.best_step, self.at.bad = value, self.at.global_step, 0
        else:
            self.at.bad += 1
        self.at.evaluated = self.at.global_step
        self.folder.log(
            self.at.global_step, {f"val/{k}": v for k, v in self.metrics.items()} | {"epoch": self.at.epoch}
        )
        self.report.line(
            f"evaluation at step {self.at.global_step}: "
            + " ".join(f"{k} {v:.4f}" for k, v in self.metrics.items() if k in (self.settings.select, "cer"))
            + f" (best {self.at.best:.4f} at step {self.at.best_step})",
            force=True,
        )
        if self.folder.main:
            if better:
                self.keep(self.folder.best, self.judged, self.metrics)
            self.keep(self.folder.last, self.judged, self.metrics)
        self._save()
        self._maybe_stop()

    def _save(self) -> None:
        self.at.seconds, self._begun = self._seconds(), time.monotonic()
        state.save(self.accelerator, self.folder, self.at, self.metrics, self.shadow)

    def _resume(self) -> None:
        found = state.restore(self.accelerator, self.folder, self.shadow)
        if found:
            self.at, self.metrics = found
            self.report.say(f"resumed at epoch {self.at.epoch}, step {self.at.global_step} of {self.steps}")
