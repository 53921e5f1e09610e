"""What image.buckets save: epochs of training on words of many lengths, on one wide canvas or at their own.

    python infra/bench/buckets.py
    python infra/bench/buckets.py model=svtr_nano buckets=64,128,256 steps=40

Words of 2 to 16 characters, as high as the canvas and not squeezed; same model, batch and samples.
"""

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from epochs import Ours
from rounds import at_least, machine, table, take_turns
from samples import quietly

from ingest import shard
from shards import config, progress
from train import workbench
from train.steps import TaskStep

LENGTHS = (2, 16)  # characters


@dataclass
class Settings:
    """What is measured, and how often."""

    model: list[str] = field(default_factory=lambda: ["crnn_tiny", "svtr_nano"])  # presets
    buckets: list[int] = field(default_factory=lambda: [64, 96, 128, 192, 256])  # rising widths, pixels
    batch: int = 64  # words a step
    steps: int = 40  # of an epoch, which is a pass
    rounds: int = 5  # turns of every contender

    def __post_init__(self) -> None:
        at_least(self, batch=1, steps=1, rounds=1)


def ours(settings: Settings, model: str, data: Path, buckets: list[int]) -> Ours:
    """Our loop on canvases of the widest bucket, cut at `buckets`."""
    argv = [
        f"run.root={tempfile.mkdtemp(dir=data.parent)}", "run.name=bench", f"data.root={data}",
        f"model={model}", "data.threads=1", f"fit.batch={settings.batch}",
        f"fit.epochs={settings.rounds + 1}", "image.fit=keep", f"image.width={settings.buckets[-1]}",
        f"image.buckets=[{','.join(map(str, buckets))}]",
    ]  # fmt: skip
    with quietly():
        bench = workbench.bench(config.read(workbench.Settings, "teacher", argv), "bench")
        return Ours(bench, TaskStep(bench.model, bench.task))


def main(argv: list[str]) -> None:
    """One table for each model."""
    settings = config.read(Settings, "bench", argv)
    torch.set_num_threads(1)
    print(f"### Buckets\n\n{machine(1)}; batch {settings.batch}, fp32, {settings.buckets}\n")
    with tempfile.TemporaryDirectory() as place:
        data = Path(place) / "data"
        lengths = [f"min_length={LENGTHS[0]}", f"max_length={LENGTHS[1]}"]
        for split, count in (("train", settings.batch * settings.steps), ("val", 32)):
            with quietly():
                shard.main(["source=rendered", f"out={data}", f"split={split}", f"count={count}", *lengths])
        for model in settings.model:
            kinds = {"one canvas": [], "buckets": settings.buckets}
            loops = {name: ours(settings, model, data, buckets) for name, buckets in kinds.items()}
            found = take_turns({name: loop.epoch for name, loop in loops.items()}, settings.rounds)
            source = loops["buckets"].bench.train_loader
            widths = np.median(source.spans), source.image.edge(source.spans).mean()
            rows = [
                (name, found.speed(name), found.ratio(name, "one canvas"), loop.bench.train_loader.plan.steps)
                for name, loop in loops.items()
            ]
            title = f"{model}: median width {widths[0]:.0f}, mean of the edges {widths[1]:.0f}"
            table(title, ("", "images/s", ": one canvas", "steps an epoch"), rows)


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
