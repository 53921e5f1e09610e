"""Whether a student learns from the cache what it would learn from the live teacher: losses step by step.

    python infra/bench/parity.py teacher=models/small cache=caches/words data=data/words
    python infra/bench/parity.py teacher=models/small cache=caches/words data=data/words method=nkd steps=200

Two students with equal seed, order, views and weights, one answered by the cache, one by its teacher: what
they differ in is what the codec lost, and what follows from it. The cache was recorded with augment=light.
"""

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rounds import machine, table
from samples import quietly

from distill import student
from distill.cache import Cache
from shards import config, progress
from train.runfolder import read_metrics

BATCH = 64


@dataclass
class Settings:
    """What is compared."""

    teacher: str = ""  # the model folder that was recorded
    cache: str = ""  # its answers
    data: str = ""  # the data set folder
    method: list[str] = field(default_factory=lambda: ["logits", "nkd", "hard"])
    model: str = "crnn_tiny"
    steps: int = 100


def losses(settings: Settings, views: int, method: str, *source: str) -> dict[str, np.ndarray]:
    """Term -> its value at every step."""
    with tempfile.TemporaryDirectory() as folder, quietly():
        argv = [
            f"run.root={folder}",
            "run.name=s",
            f"data.root={settings.data}",
            f"data.views={views}",
            *source,
        ]
        argv += [f"method={method}", f"model={settings.model}", f"fit.batch={BATCH}", "fit.epochs=1"]
        argv += [
            "data.weights=[1]",
            f"data.draws={BATCH * settings.steps}",
            "fit.log_every=1",
            "optim.lr=.002",
        ]
        student.main([*argv, "augment=light"])
        lines = [line for line in read_metrics(Path(folder) / "s") if "train/loss" in line]
    return {term: np.array([line[f"train/{term}"] for line in lines]) for term in ("loss", "task", method)}


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "parity", argv)
    opened, rows = Cache(settings.cache), []
    for method in settings.method:
        cached = losses(settings, opened.card.views, method, f"cache={settings.cache}")
        live = losses(settings, opened.card.views, method, f"teacher={settings.teacher}")
        for term, values in cached.items():
            apart = np.abs(values - live[term]) / np.maximum(np.abs(live[term]), 1e-9)
            first, last = f"{apart[0]:.1e}", f"{apart[-10:].mean():.1e}"
            rows.append(
                [method, term, first, f"{np.median(apart):.1e}", last, f"{live[term][-10:].mean():.4f}"]
            )
    columns = ("method", "term", "first step", "median", "last ten", "live, last ten")
    lost = opened.lost["frames"].kl if "frames" in opened.lost else float("nan")
    table(
        f"relative difference of losses, {settings.steps} steps; the codec loses {lost:.4f} nats a frame",
        columns,
        rows,
    )
    print(machine(1))


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
