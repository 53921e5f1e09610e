"""Every trunk on the same rendered words for as many steps: accuracy beside size and speed, in one table.

    python infra/bench/models.py work=WORK
    python infra/bench/models.py work=WORK model=crnn_tiny,svtr_nano steps=20000 seed=0
    python infra/bench/models.py work=WORK model=svtr_micro rate=.0005,.001,.002 steps=2000 seed=100

Each training is a child process of train/teacher.py: same data, order, batch and precision, AdamW, nothing
augmented; whole passes, at least `steps` steps. The rate is the family's of RATES, scaled to the batch, or
each of `rate=`: so, on another seed than the table's, a family's rate is found. Judged is what stood best
on val, by words of test, which neither has. ms per image: from the file's bytes to text, one image at a
time on one thread. A model whose steps are blanks nearly everywhere is marked. What is done in WORK is not
done again.
"""

import math
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from rounds import at_least, machine, table
from samples import ROOT, rendered

from shards import config, presets, progress
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.read import Shards
from shards.written import read_json, write_json
from train import evaluation, modelfolder, workbench
from train.charset import Charset
from train.judging import still_loader

RATES = {  # optim.lr at TOLD words a step, by member of train/models; crnn's is of gain.sh, svtr's was tried
    "crnn": 0.004, "densenet": 0.002, "depthwise": 0.002, "mobilenet": 0.002, "resnet": 0.001,
    "shufflenet": 0.002, "svtr": 0.003,
}  # fmt: skip
PRESETS = (
    "crnn_tiny", "svtr_nano", "crnn_small", "svtr_micro", "densenet_cifar", "depthwise", "svtr_tiny",
    "shufflenetv2", "mobilenetv2", "resnet18", "densenet121", "crnn_large",
)  # fmt: skip
TOLD = 64  # words a step that RATES are for; others take them times the root of the share (arXiv:2205.10287)
COLLAPSED = 0.95  # share of blank steps that no model has which reads words of three characters and more
HELD = 10  # training words for each one of val, and for each one of test
COLUMNS = (
    "model", "parameters", "MB", "ms per image", "optim.lr", "word accuracy, % [95 %]", "blanks, %", "",
)  # fmt: skip


@dataclass
class Settings:
    """What is compared."""

    work: str = ""  # the folder of data, runs and figures
    model: list[str] = field(default_factory=lambda: [*PRESETS])  # presets of configs/model
    steps: int = 10_000  # of each training, rounded up to whole passes
    seed: int = 0  # of weights and order
    words: int = 20_000  # trained on
    batch: int = 64  # words a step
    precision: Literal["fp32", "bf16"] = "bf16"  # of the training
    rate: list[float] = field(default_factory=list)  # tried instead of the family's, one training each

    def __post_init__(self) -> None:
        at_least(self, steps=1, words=HELD, batch=1)
        for name in self.model:
            if name not in presets.names("model"):
                raise BadSettings(unknown("model", name, presets.names("model")))
        if not self.work:
            raise BadSettings("work= is required: a folder for data, runs and figures")


def main(argv: list[str]) -> None:
    """One table."""
    settings = config.read(Settings, "bench", argv)
    torch.set_num_threads(1)
    data = Path(settings.work) / "data" / str(settings.words)
    for split, share in (("train", 1), ("val", HELD), ("test", HELD)):
        rendered(data, settings.words // share, split)
    rows = []
    for name in settings.model:
        own = RATES[_family(name)] * math.sqrt(settings.batch / TOLD)
        for rate in settings.rate or [float(f"{own:.2g}")]:
            rows.append(_row(name, rate, figures(settings, name, rate, data)))
    print(f"### Models\n\n{machine(1)}; batch {settings.batch}, {settings.precision}\n")
    title = f"{settings.steps:,} steps or more on {settings.words:,} rendered words, seed {settings.seed}"
    table(title, COLUMNS, rows)


def figures(settings: Settings, name: str, rate: float, data: Path) -> dict[str, Any]:
    """What is known of a model that was trained; trains and judges it where nothing is."""
    run = f"{name}-{rate:g}-{settings.steps}x{settings.batch}of{settings.words}-{settings.precision}"
    run = f"{run}-s{settings.seed}"
    kept = Path(settings.work) / "figures" / f"{run}.json"
    if not kept.exists():
        folder = train(settings, name, rate, data, run)
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_json(kept, {"format": 1, **judged(folder / "best", data)})
    return read_json(kept)


def train(settings: Settings, name: str, rate: float, data: Path, run: str) -> Path:
    """The run folder of a training, in a process of its own."""
    passes = -(-settings.steps // -(-settings.words // settings.batch))
    told = [
        f"run.root={settings.work}/runs", f"run.name={run}", f"seed={settings.seed}", f"data.root={data}",
        f"model={name}", "optim=adamw", f"optim.lr={rate}", f"fit.batch={settings.batch}",
        f"fit.epochs={passes}", f"fit.precision={settings.precision}", "data.threads=1",
    ]  # fmt: skip
    log = Path(settings.work) / "logs" / f"{run}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with log.open("a") as said:
        done = subprocess.run(
            [sys.executable, ROOT / "train" / "teacher.py", *told], stdout=said, stderr=said, env=env
        )
    if done.returncode:
        raise BadData(f"{run}: train/teacher.py ended with code {done.returncode}: read {log}")
    return Path(settings.work) / "runs" / run


def judged(folder: Path, data: Path) -> dict[str, Any]:
    """The figures of a model folder on the words of test."""
    shards = Shards([str(data)], "test")
    asked = evaluation.Settings(latency=True)
    found = evaluation.evaluate(str(folder), shards, asked).figures
    wanted = ("params", "mb", "ms_per_image", "word_acc")
    return {**{key: found[key] for key in wanted}, "blanks": blanks(folder, shards)}


def blanks(folder: Path, shards: Shards) -> float:
    """Share of the time steps of all words whose best class is the blank."""
    loaded = modelfolder.load(folder)
    silent = steps = 0
    with torch.inference_mode():
        for batch in still_loader(shards, loaded.task, 256).batches(0):
            best = loaded.model(batch.images).logits[batch.valid].argmax(-1)
            silent, steps = silent + int((best == Charset.BLANK).sum()), steps + best.numel()
    return silent / steps


def _family(name: str) -> str:
    """The member of train/models that a preset chooses."""
    return config.read(workbench.Settings, "teacher", [f"model={name}"]).model.name


def _row(name: str, rate: float, found: dict[str, Any]) -> tuple[str, ...]:
    """The table's cells."""
    accuracy = "{value:.2%} [{low:.2%}, {high:.2%}]".format(**found["word_acc"]).replace("%", "")
    mark = "COLLAPSED to blanks" if found["blanks"] > COLLAPSED else ""
    size = (f"{found['params']:,}", f"{found['mb']:.2f}", f"{found['ms_per_image']:.2f}")
    return name, *size, f"{rate:g}", accuracy, f"{100 * found['blanks']:.1f}", mark


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
