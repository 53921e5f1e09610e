"""The first question to a new model or data set: can it learn a few samples by heart?

overfit=64 trains on 64 samples, untouched, until it reads them all; if it does not get there, it names the
stage that fails: labels (before the first step), gradients, blanks, learning, or reading.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from shards import progress
from shards.config import Choice
from shards.errors import GateFailed
from train.runfolder import read_metrics
from train.schedules import constant
from train.workbench import Settings

STEPS = 3000  # optimiser steps at most
LOOKS = 25  # steps between evaluations
ALL_BLANK = 0.98  # share of steps whose best class is the blank
WAYS_ON = {  # where a label cannot teach, by reason
    "unlabelled": "leave out what has no label",
    "unencodable": "task.charset=data spells them all",
    "infeasible": "a larger image.width= gives them more steps",
}
LEARNT = 0.05  # of the first loss: what is below is learnt by heart
FALLEN = 0.7  # of the first loss: what is above has not learnt


def adapted(settings: Settings) -> Settings:
    """A run's settings for that question; model, image, task, loss, optimiser and precision stay.

    What is read decides: the task's own metric, whatever fit.select says.
    """
    batch = min(settings.fit.batch, settings.overfit)
    a_pass = math.ceil(settings.overfit / batch)
    few = replace(
        settings.fit, batch=batch, epochs=max(1, STEPS // a_pass), eval_every=max(1, LOOKS // a_pass),
        goal=1.0, patience=0, select="",
    )  # fmt: skip
    run = replace(settings.run, name=settings.run.name or f"overfit-{settings.overfit}")
    flat = Choice("constant", constant.Settings())
    data = replace(settings.data, share=1.0, weights=[], draws=0)
    return replace(settings, run=run, data=data, fit=few, augment=type(settings.augment)(), schedule=flat)


def check(count: int, census: dict[str, int]) -> None:
    """Refuses `count` samples of which some can never be read, by the census: {reason: how many}."""
    if found := {reason: number for reason, number in census.items() if number}:
        bad = ", ".join(f"{number} {reason}" for reason, number in found.items())
        ways = ", ".join(WAYS_ON[reason] for reason in found)
        raise GateFailed(f"overfit: labels: {bad} of {count} samples can never be read; {ways}")


def conclude(settings: Settings, result: dict[str, Any]) -> str:
    """What came out, in a sentence; a GateFailed names the stage that fails."""
    accuracy, steps = result["best"], result["global_step"]
    if accuracy == 1:
        return f"overfit: all {settings.overfit} samples are read after {steps} steps"
    lines = read_metrics(Path(settings.run.root) / settings.run.name)
    stage, why = _stage(lines)
    failed = GateFailed(f"overfit: {accuracy:.1%} of {settings.overfit} after {steps} steps; {stage}: {why}")
    progress.status(Path(settings.run.root) / settings.run.name, "failed", failed.code, str(failed))
    raise failed


def _stage(lines: list[dict[str, Any]]) -> tuple[str, str]:
    """(the stage that fails, why and what to do), from the lines of metrics.jsonl."""
    trained = [line for line in lines if "train/loss" in line]
    if not trained:
        return "time", "time_limit= ended it before the first step"
    if lost := trained[-1].get("ctc/nonfinite"):
        return "gradients", f"{lost:g} steps were not finite: take fit.precision=fp32 or a lower optim.lr"
    first, last = trained[0]["train/loss"], trained[-1]["train/loss"]
    said = f"the loss went from {first:.2f} to {last:.2f}"
    if trained[-1].get("train/blank_rate", 0) > ALL_BLANK:
        return "blanks", f"{said}, every step reads as a blank: another optim.lr, more samples"
    if last < LEARNT * first:
        return "reading", f"{said}, the labels are learnt, but batch statistics or the decoder do not follow"
    slow = "too little" if last > FALLEN * first else "and is still on its way"
    return "learning", f"{said}, {slow}: another optim.lr, a larger model"
