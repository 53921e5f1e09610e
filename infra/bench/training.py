"""How fast a recogniser trains: our loop from shards against the plainest honest one, same model and batches.

    python infra/bench/training.py
    python infra/bench/training.py model=crnn_small batch=64 steps=20 rounds=9
    python infra/bench/training.py model=crnn batch=1024 steps=100 precision=bf16 augment=light

The plainest loop: a Dataset over image files or an LMDB, Pillow, a DataLoader, nn.CTCLoss, AdamW, eager, with
no clipping, schedule, logs or checks. No augmentation on either side; augment=PRESET adds a row of ours with
it. Ours keeps decoded words (data.memory, 256 MB by default): its epochs after the first decode only what did
not fit; a row with memory=0 decodes everything every time. A GPU is used where there is one.
"""

import sys
import tempfile
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import torch
from epochs import Ours, Plainest
from peers import Files, Lmdb, batches, unpack
from rounds import Contenders, at_least, machine, table, take_turns
from samples import quietly, rendered

from shards import config, progress
from train import starting, workbench
from train.steps import TaskStep

OURS, UNKEPT = "ours", "ours, memory=0"


@dataclass
class Settings:
    """What is measured, and how often."""

    model: list[str] = field(default_factory=lambda: ["crnn_tiny", "crnn_small"])  # presets
    batch: int = 128  # words a step
    steps: int = 20  # of an epoch, which is a pass
    rounds: int = 5  # turns of every contender
    threads: int = 0  # of torch, 0 = as it chooses (OMP_NUM_THREADS); decoding has one more
    workers: list[int] = field(default_factory=lambda: [0, 1])  # num_workers of the DataLoader
    precision: Literal["fp32", "bf16"] = "fp32"  # of the model
    augment: str = ""  # a preset: one more row of ours

    def __post_init__(self) -> None:
        at_least(self, batch=1, steps=1, rounds=1, threads=0)


def opened(settings: Settings, model: str, data: Path, *more: str) -> workbench.Bench:
    """A workbench as train/teacher.py opens it."""
    runs = tempfile.mkdtemp(dir=data.parent)
    argv = [
        f"run.root={runs}", "run.name=bench", f"data.root={data}", f"model={model}", "data.threads=1",
        f"fit.batch={settings.batch}", f"fit.epochs={settings.rounds + 1}", *more,
        f"fit.precision={settings.precision}",
    ]  # fmt: skip
    with quietly():
        return workbench.bench(config.read(workbench.Settings, "teacher", argv), "bench")


def ours(settings: Settings, model: str, data: Path) -> dict[str, Ours]:
    """Our loop in its variants."""
    variants = {OURS: [], UNKEPT: ["data.memory=0"]}
    if settings.augment:
        variants[f"ours, augment={settings.augment}"] = [f"augment={settings.augment}"]
    found = {}
    for name, more in variants.items():
        bench = opened(settings, model, data, *more)
        found[name] = Ours(bench, TaskStep(bench.model, bench.task))
    return found


def compare(title: str, contenders: Contenders, rounds: int) -> None:
    """Prints one table: how many times as fast as each row ours is."""
    found = take_turns(contenders, rounds)
    pairs = [(one, by) for one in (OURS, UNKEPT) if one in contenders for by in ("wall", "cpu")]
    rows = [
        (
            name,
            found.speed(name),
            found.speed(name, "cpu"),
            *(found.ratio(one, name, by) for one, by in pairs),
        )
        for name in contenders
    ]
    told = {"wall": " : this row (aim 2)", "cpu": " : this row, per core"}
    table(title, ("", "images/s", "images per core-second", *(one + told[by] for one, by in pairs)), rows)


def main(argv: list[str]) -> None:
    """Two tables for each model: whole epochs, and the updates alone."""
    settings = config.read(Settings, "bench", argv)
    torch.set_num_threads(settings.threads or torch.get_num_threads())
    print(
        f"### Training\n\n{machine(torch.get_num_threads())}; batch {settings.batch}, {settings.precision}\n"
    )
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        for split, count in (("train", settings.batch * settings.steps), ("val", 32)):
            rendered(data, count, split)
        for model in settings.model:
            run(settings, model, data)


def run(settings: Settings, model: str, data: Path) -> None:
    """The two tables of a model."""
    mine = ours(settings, model, data)
    bench = mine[OURS].bench
    # Another model of the same class and size, in the memory layout that a user gets.
    plain = Plainest(starting.build(bench.settings)[1], bench.accelerator.device, settings.precision)
    files, store = (Path(tempfile.mkdtemp(dir=data.parent)) for _ in range(2))
    sets = {"files": Files(unpack(bench.train, files)), "LMDB": Lmdb(bench.train, store)}
    loaders = {
        f"plainest loop, {name}, num_workers={n}": batches(words, settings.batch, n)
        for name, words in sets.items()
        for n in settings.workers
    }
    theirs = {name: partial(plain.epoch, loader) for name, loader in loaders.items()}
    parameters = sum(p.numel() for p in bench.model.parameters())
    title = f"{model}, {parameters:,} parameters"
    compare(
        f"Epochs: {title}", {**{name: one.epoch for name, one in mine.items()}, **theirs}, settings.rounds
    )
    updates = {OURS: mine[OURS].updates(), "plainest loop": plain.updates(next(iter(loaders.values())))}
    compare(f"Updates alone: {title}", updates, settings.rounds)


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
