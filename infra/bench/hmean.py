"""What judging a detector costs: seconds for a test set of pictures, on one core.

    python infra/bench/hmean.py
    python infra/bench/hmean.py found=300
    python infra/bench/hmean.py images=5000 found=100 rounds=3

Made-up pictures: turned words at random places, most of them not to be counted, as in ICDAR2015; detections
are the words, moved a little, some of them more than once. Aim: H of 500 pictures in under 2 s.
"""

import sys
from dataclasses import dataclass

import numpy as np
import torch
from rounds import Contenders, at_least, machine, table, take_turns

from shards import config, progress
from shards.sample import Record, Word
from train.detection import Meter

SIZE = (1280, 720)  # of a picture, as in ICDAR2015
LEGIBLE = 0.4  # of its words
COLUMNS = ("", "seconds", "seconds of processor time", "ms of it a picture")


@dataclass
class Settings:
    """What is measured, and how often."""

    images: int = 500  # pictures
    words: int = 8  # of a picture
    found: int = 20  # detections of a picture
    rounds: int = 7  # turns of every contender
    threads: int = 1  # of torch

    def __post_init__(self) -> None:
        at_least(self, images=1, words=1, found=1, rounds=1, threads=1)


def quads(count: int, rng: np.random.Generator) -> np.ndarray:
    """Words as (centre x, y, width, height, angle) [count,5]."""
    low, high = (0, 0, 20, 10, -0.4), (*SIZE, 150, 40, 0.4)
    return rng.uniform(low, high, (count, 5))


def word(quad: np.ndarray, legible: bool, score: float | None = None) -> Word:
    """The word with that outline."""
    x, y, width, height, angle = quad
    across = np.array([np.cos(angle), np.sin(angle)]) * width / 2
    down = np.array([-np.sin(angle), np.cos(angle)]) * height / 2
    corners = [-across - down, across - down, across + down, down - across]
    return Word(None, tuple((float(x + a), float(y + b)) for a, b in corners), legible, score)


def picture(settings: Settings, rng: np.random.Generator) -> tuple[Record, list[Word]]:
    """Its record, and what was found in it."""
    some = quads(settings.words, rng)
    near = some[np.arange(settings.found) % settings.words]
    near = near + rng.normal(0, (4, 3, 6, 3, 0.03), near.shape)
    truths = tuple(word(quad, bool(rng.random() < LEGIBLE)) for quad in some)
    return Record(truths, SIZE, ""), [word(quad, True, float(rng.random())) for quad in near]


def passes(settings: Settings) -> Contenders:
    """What is asked of a meter that holds all pictures; each pass begins with a fresh one."""
    rng = np.random.default_rng(0)
    records, found = zip(*(picture(settings, rng) for _ in range(settings.images)), strict=True)

    def filled() -> Meter:
        meter = Meter()
        meter.update(range(settings.images), found, records)
        return meter

    def asking(question: str):
        def ask() -> int:
            getattr(filled(), question)()
            return settings.images

        return ask

    asked = {"H at all thresholds": "curve", "all figures": "compute", "marks of every word": "detail"}
    return {name: asking(question) for name, question in asked.items()}


def main(argv: list[str]) -> None:
    """One table."""
    settings = config.read(Settings, "bench", argv)
    torch.set_num_threads(settings.threads)
    print(f"### Judging detections\n\n{machine(settings.threads)}\n")
    found = take_turns(made := passes(settings), settings.rounds)
    rows = []
    for name in made:
        wall, cpu = (settings.images / found.speed(name, by) for by in ("wall", "cpu"))
        rows.append((name, f"{wall:.3g}", f"{cpu:.3g}", f"{1000 * cpu / settings.images:.3g}"))
    what = f"{settings.images:,} pictures, {settings.words} words and {settings.found} detections each"
    table(what, COLUMNS, rows)


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
