"""THE loop, for teachers and students alike: train, evaluate, keep the best, survive.

One position (epoch, step) is the whole state of the data; everything else is in the newest folder of state/.
Evaluation comes at step 0, after each epoch and at the end; `best` and `last` always exist.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from accelerate import Accelerator
from torch import nn

from shards.errors import BadData, BadSettings, GateFailed, Preempted
from shards.loader import Batch, Loader
from shards.progress import Reporter
from shards.typed import check_ranges
from train import state, zero
from train.clock import Clock
from train.headings import MAIN
from train.metrics import better
from train.optim import Optimizing
from train.runfolder import RunFolder
from train.runtime import StopRequest, agree_on_buffers, gather, on_main
from train.speed import Speed
from train.state import Position
from train.update import Moved, Update

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
    goal: float = 0.0  # stop once the selected metric is as good (a cer as low), 0 = go on
    eval_every: int = 1  # epochs between evaluations
    save_every: int = 0  # optimiser steps between saved states beside those at evaluations, 0 = none
    log_every: int = 10  # optimiser steps between lines of metrics.jsonl
    select: str = ""  # the metric by which `best` is chosen, cer by the lowest; empty = the task's own

    def __post_init__(self) -> None:
        counts = ("epochs", "batch", "accumulation", "eval_every", "log_every")
        check_ranges(self, "fit.", **dict.fromkeys(counts, (1, math.inf)))
        check_ranges(self, "fit.", **dict.fromkeys(("clip", "patience", "save_every", "goal"), (0, math.inf)))
        if not 0 <= self.ema < 1:
            raise BadSettings(f"fit.ema: {self.ema}, must be in [0, 1)")


class Loop:
    """One run. judge(model, global step) -> metrics; keep(folder, model, metrics) writes a model; stop: who
    asked for it to stop; select: the metric that matters where the settings name none.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        step: nn.Module,
        loader: Loader,
        teach: Callable[[Batch], Any],
        judge: Callable[[nn.Module, int], dict[str, float]],
        keep: Callable[[Path, nn.Module, dict[str, float]], None],
        folder: RunFolder,
        report: Reporter,
        stop: StopRequest,
        settings: Settings,
        optimizing: Optimizing,
        time_limit: str = "",
        select: str = MAIN[0].name,
    ) -> None:
        self.accelerator, self.loader, self.judge, self.keep = accelerator, loader, judge, keep
        self.folder, self.report, self.stop = folder, report, stop
        self.settings, self.select = settings, settings.select or select
        self.steps = settings.epochs * loader.plan.steps  # of the whole run
        self.update = Update(accelerator, step, teach, optimizing, self.steps, settings.clip, settings.ema)
        self.at, self.metrics, self.ending = Position(), {}, ""
        self.clock, self._saved = Clock(time_limit), ""

    def resume(self) -> bool:
        """Goes to the newest saved state; False where there is none."""
        found = state.restore(self.accelerator, self.folder, self.update.average)
        if found is None:
            return False
        self.at, self.metrics = found
        self.clock.before, self._saved = self.at.seconds, state.name(self.at)
        self.report.say(f"resumed at epoch {self.at.epoch}, step {self.at.global_step} of {self.steps}")
        return True

    def run(self) -> Position:
        """Trains to the end, `ending` says which; Preempted if asked to stop, with everything saved."""
        while True:
            self.ending = self._ended()
            if self._due():
                self._running()
                self._evaluate()
                self.ending = self.ending or self._ended()
            if self.ending:
                return self.at
            self._maybe_stop()
            self._running()
            self.epoch()

    def _running(self) -> None:
        self.folder.status("running", global_step=self.at.global_step)

    def _ended(self) -> str:
        if self.at.epoch >= self.settings.epochs:
            return "all epochs done"
        if self.settings.patience and self.at.bad >= self.settings.patience:
            return f"no better evaluation for {self.at.bad} evaluations"
        if self.settings.goal and not better(self.select, self.settings.goal, self.at.best):
            return f"{self.select} has reached {self.settings.goal:g}"
        over = gather(self.accelerator, self.clock.over)[0]  # rank 0's clock decides, or ranks would part
        return f"time limit {self.clock.limit} reached" if over else ""

    def _due(self) -> bool:
        if self.at.evaluated == self.at.global_step:
            return False
        return bool(self.ending) or (self.at.step == 0 and self.at.epoch % self.settings.eval_every == 0)

    def epoch(self) -> None:
        """Trains from the position to the end of its epoch, or to the time limit."""
        micro: list[Batch] = []
        meter = Speed(self.loader.plan.global_batch)
        for batch in meter.waits(self.loader.batches(self.at.epoch, self.at.step)):
            micro.append(batch)
            if len(micro) < self.settings.accumulation:
                continue
            moved = self._move(micro, meter)
            micro = []
            if self.at.step == 0 or moved.sums["over"]:
                return
            if self.settings.save_every and self.at.global_step % self.settings.save_every == 0:
                self._save()

    def _move(self, micro: list[Batch], meter: Speed) -> Moved:
        """One optimiser step and what follows from it."""

        def counts() -> dict[str, float]:
            damaged = sum(len(batch.damage) for batch in micro)
            over = self.accelerator.is_main_process and self.clock.over
            return {"damaged": damaged, "asked": self.stop.asked(), "over": over}

        moved = self.update(micro, self.at.global_step, counts, self._logged(self.at.global_step + 1))
        self.at.damaged += int(moved.sums["damaged"])
        self.at.global_step += 1  # lines of a step carry the number after it, as saved states do: see rewind
        self.at.step += 1
        if self.at.step == self.loader.plan.steps:
            self.at.epoch, self.at.step = self.at.epoch + 1, 0
        self._note(moved, micro)
        self._tell(moved.terms, meter)
        if moved.sums["asked"]:
            self._maybe_stop()
        return moved

    def _note(self, moved: Moved, micro: list[Batch]) -> None:
        """Writes down damaged samples, and those of a skipped step; too many skipped ones end the run."""
        if moved.sums["damaged"]:
            found = {f"{int(b.uids[i]):016x}": reason for b in micro for i, reason in b.damage.items()}
            samples = {uid: why for part in gather(self.accelerator, found) for uid, why in part.items()}
            self.folder.append("damaged.jsonl", self.at.global_step, {"samples": samples})
            said = f"step {self.at.global_step}: left out {'; '.join(sorted(samples.values()))}"
            if self.loader.on_damage == "fail":
                raise BadData(f"{said}; data.on_damage=skip goes on without them")
            self.report.say(said)
        self.at.in_a_row = 0 if moved.finite else self.at.in_a_row + 1
        if moved.finite:
            return
        self.at.nonfinite += 1
        mine = [f"{int(uid):016x}" for batch in micro for uid in batch.uids[batch.valid.cpu()]]
        uids = [uid for part in gather(self.accelerator, mine) for uid in part]
        self.folder.append("nonfinite.jsonl", self.at.global_step, {"uids": uids})
        if self.at.in_a_row >= NONFINITE_IN_A_ROW:
            raise GateFailed(
                f"{self.at.in_a_row} steps in a row had a gradient that is not finite (samples in "
                f"{self.folder.path / 'nonfinite.jsonl'}); lower optim.lr or use fit.precision=fp32"
            )

    def _logged(self, step: int) -> bool:
        """Whether the step of this number, counted from 1, gets a line in metrics.jsonl."""
        return step % self.settings.log_every == 0 or step == 1

    def _tell(self, terms: dict[str, float], meter: Speed) -> None:
        """Logs and shows a step."""
        speed, wait = meter.figures()
        if self._logged(self.at.global_step):
            values = {f"train/{k}": v for k, v in terms.items()}
            values |= {"perf/images_per_s": speed, "perf/data_wait_frac": wait, "epoch": self.at.epoch}
            values |= {"ctc/nonfinite": self.at.nonfinite, "data/damaged": self.at.damaged}
            self.folder.log(self.at.global_step, values)
            self._running()
        left = (self.steps - self.at.global_step) * self.loader.plan.global_batch / max(speed, 1e-9)
        self.report.line(
            f"epoch {self.at.epoch}/{self.settings.epochs} step {self.at.global_step}/{self.steps} "
            f"loss {terms['loss']:.3f} {self.select} {self.metrics.get(self.select, math.nan):.4f} "
            f"lr {terms['lr']:.2e} "
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
        model, at = self.update.judged, self.at
        agree_on_buffers(self.accelerator, model)
        self.metrics = self.judge(model, at.global_step)
        if self.select not in self.metrics:
            raise BadSettings(f"fit.select: no {self.select!r} (there are: {', '.join(self.metrics)})")
        value = self.metrics[self.select]
        best = better(self.select, value, at.best)
        if best:
            at.best, at.best_step, at.bad = value, at.global_step, 0
        else:
            at.bad += 1
        at.evaluated = at.global_step
        self.folder.log(
            at.global_step, {f"val/{k}": v for k, v in self.metrics.items()} | {"epoch": at.epoch}
        )
        self.report.line(
            f"evaluation at step {at.global_step}: "
            + " ".join(f"{k} {v:.4f}" for k, v in self.metrics.items() if k in (self.select, "cer"))
            + f" (best {at.best:.4f} at step {at.best_step})",
            force=True,
        )
        with zero.whole(model):
            for folder in [self.folder.best, self.folder.last] if best else [self.folder.last]:
                on_main(self.accelerator, lambda folder=folder: self.keep(folder, model, self.metrics))
        self._save()

    def _save(self) -> None:
        if self._saved == state.name(self.at):
            return  # nothing has moved since
        self.at.seconds = self.clock.spent
        state.save(self.accelerator, self.folder, self.at, self.metrics, self.update.average)
        self._saved = state.name(self.at)
