"""Fits the temperature at which a model is as sure as it is right, on validation, and keeps it in the model
folder.

    python -m train.calibrate checkpoint=runs/first/best data.root=data/own
    python -m train.calibrate checkpoint=models/crnn_small data.root=data/iiit5k data.split=train
    python -m train.calibrate checkpoint=runs/first/best data.root=data/own decoder=certified json=true

Temperature scaling (Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4.2), on what is
told of a whole word: the temperature of the steps under which the confidences of words have the least
negative log-likelihood of "this word is right". Readings stay as they are; of the decoders, the one given
is fitted, by default the model folder's own, and only that one is corrected by it. Students that learn from
the model hear its plain confidences. Of words it was trained on, a model is surer than of others: fitted on
them, the temperature is wrong for all others, which is said.
"""

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shards import config, loader
from shards.errors import BadData, BadSettings
from shards.progress import Reporter, run
from shards.read import Shards, splits_of
from shards.typed import check_ranges
from train import decoders, judging, modelfolder
from train.frontmatter import named
from train.metrics import ece
from train.models import Output, answer
from train.verdicts import short

TEMPERATURES = tuple(1.02**i for i in range(-116, 117))  # 0.1 to 10, 2 % apart
SURE = 1e-6  # confidences are held this far from 0 and 1 before their logarithm is taken


@dataclass
class Data(loader.Where):
    """What is fitted on."""

    split: str = "val"  # the split to fit on; never the one that is reported


@dataclass
class Settings:
    """A calibration."""

    checkpoint: str = ""  # a model folder; its config.json, card and checksums are replaced
    data: Data = field(default_factory=Data)
    decoder: config.Choice | None = field(
        default=None, metadata={"seam": "train.decoders", "bare": "name"}
    )  # whose confidences are fitted; none = the model folder's own
    batch: int = 256  # images at a time
    device: str = "cpu"  # cpu, or cuda:0
    json: bool = False  # print the result as JSON on the last line

    def __post_init__(self) -> None:
        check_ranges(self, "", batch=(1, math.inf))
        if self.data.split == "test":
            raise BadSettings(
                "data.split=test is what is reported: calibrate on val, or on words never trained on"
            )
        if not self.checkpoint:
            raise BadSettings("checkpoint= is required: a model folder, for example runs/first/best")


def fit(right: np.ndarray, sure: np.ndarray) -> int:
    """Which of K temperatures is best. right: bool [N]; sure: the confidence at each of them, [N,K]."""
    if right.all() or not right.any():
        raise BadData(
            f"{int(right.sum())} of {len(right)} words are read right: a temperature needs right and wrong "
            "ones; calibrate on more or other words"
        )
    sure = np.clip(sure, SURE, 1 - SURE)
    likelihood = np.where(right[:, None], np.log(sure), np.log1p(-sure)).mean(0)
    return int(likelihood.argmax())


def _trials(loaded: modelfolder.Loaded, source: loader.Loader) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Of every batch, whether its words are right and how sure the model is at each temperature."""
    with torch.inference_mode():
        for batch in source.batches(0):
            output = answer(loaded.model, batch)
            whole = [i for i in range(len(batch.records)) if bool(batch.valid[i])]
            rows = Output(output.logits[whole])
            yield loaded.task.trials(rows, [batch.records[i] for i in whole], TEMPERATURES)


def calibrate(settings: Settings, shards: Shards) -> dict[str, Any]:
    """What config.json keeps: the temperature, on what it was fitted, which sets of these the model was
    trained on, and the errors before and after.
    """
    loaded = modelfolder.load(settings.checkpoint, settings.device, settings.decoder)
    data = settings.data
    source = judging.still_loader(
        shards, loaded.task, settings.batch, None, data.engine, data.threads, settings.device
    )
    parts = list(_trials(loaded, source))
    right, sure = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    if not len(right):
        raise BadData(f"{', '.join(map(str, shards.folders))}: no labelled word to calibrate on")
    best = fit(right, sure)
    chosen = settings.decoder or decoders.stored(loaded.config.get("decoder"))
    before = sure[:, TEMPERATURES.index(1.0)]
    return {
        "temperature": round(TEMPERATURES[best], 4), "decoder": chosen.name, "n": len(right),
        "split": data.split, "data": shards.digest,
        "trained_on": sorted({one.key for one in shards.manifests} & named(loaded.config).keys()),
        "ece_before": ece(right, before), "ece_after": ece(right, sure[:, best]),
    }  # fmt: skip


def _next(settings: Settings) -> str:
    """The evaluation of what was calibrated, where the same sets have something to evaluate on."""
    roots = settings.data.root
    if not all("test" in splits_of(root) for root in roots):
        return ""
    return (
        f"python -m train.evaluation checkpoint={settings.checkpoint} data.root={','.join(map(str, roots))}"
    )


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "calibrate", argv)
    judging.device(settings.device)
    report = Reporter("train.calibrate", settings.json)
    shards = Shards(settings.data.root, settings.data.split, fetched=settings.data.room)
    report.header(
        checkpoint=short(settings.checkpoint), data=shards.digest[:12], split=settings.data.split,
        samples=len(shards), device=settings.device,
    )  # fmt: skip
    found = calibrate(settings, shards)
    modelfolder.amend(settings.checkpoint, lambda _: {"calibration": found})
    if found["temperature"] in (round(TEMPERATURES[0], 4), round(TEMPERATURES[-1], 4)):
        report.say("the temperature is the last one that was tried: these words tell little of confidences")
    if found["trained_on"]:
        report.say(
            f"{', '.join(found['trained_on'])}: the model was trained on these words and is surer of them "
            "than of others; the temperature is likely wrong for others, calibrate on words it never saw"
        )
    rows = [["before", 1.0, found["ece_before"]], ["after", found["temperature"], found["ece_after"]]]
    report.table(f"word confidence on {found['n']} words", ["", "temperature", "ECE (15 bins)"], rows)
    report.done(
        _next(settings),
        calibration=found, checkpoint=str(Path(settings.checkpoint)),
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
