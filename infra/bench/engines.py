"""Decoded canvases per second: the engine plain against the engine dali, turn by turn in one run.

python infra/bench/engines.py [SCENES] [count]

Words: `count` rendered ones (default 6,000) as grey 32x100 canvases. Scenes: the JPEGs of a folder, read into
memory, as letterboxed 640x640 colour canvases. Two figures each: images per second, which says little while
other programs run, and images per second of processor time, which they disturb less. Medians of the rounds.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from ingest import shard
from shards.engines import dali, plain
from shards.image import ImageSpec
from shards.read import Shards

ROUNDS, SCENES = 7, 64


class Pictures:
    """Encoded pictures by position, as an engine asks for them."""

    def __init__(self, folder: str) -> None:
        files = sorted(p for p in Path(folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg"))
        self.data = [path.read_bytes() for path in files[:SCENES]]

    def __len__(self) -> int:
        return len(self.data)

    def image(self, position: int) -> bytes:
        """The encoded picture."""
        return self.data[position]


def passes(source, engine, batch: int) -> tuple[float, float]:
    """(images per second, images per second of processor time) of one pass in a fixed random order."""
    order = np.random.default_rng(0).permutation(len(source))
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(order), batch):
        engine.read(order[start : start + batch])
    return len(order) / (time.perf_counter() - wall), len(order) / (time.process_time() - cpu)


def compare(title: str, source, image: ImageSpec, batch: int) -> None:
    """Prints one line per engine and number of threads."""
    engines = {
        (engine.__name__.rpartition(".")[2], threads): engine.Engine(source, image, threads)
        for threads in (1, 2)
        for engine in (plain, dali)
    }
    found = {name: [] for name in engines}
    for turn in range(ROUNDS + 1):  # the first is not counted: it fills the page cache and the pipelines
        for name, engine in engines.items():
            figures = passes(source, engine, batch)
            if turn:
                found[name].append(figures)
    for (name, threads), figures in found.items():
        wall, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
        against = [mine[0] / theirs[0] for mine, theirs in zip(figures, found["plain", threads], strict=True)]
        print(
            f"{title}, {name}, {threads} thread(s): {wall:,.0f} images/s, {cpu:,.0f} per CPU-second, "
            f"{statistics.median(against):.2f} x plain"
        )


def main() -> None:
    """Makes the words, reads the scenes, prints the comparison."""
    count = next((argument for argument in sys.argv[1:] if argument.isdigit()), "6000")
    with tempfile.TemporaryDirectory() as out:
        shard.main(["source=rendered", f"out={out}", "split=train", f"count={count}"])
        compare(f"{count} words", Shards([out], "train"), ImageSpec(), 256)
    for folder in (argument for argument in sys.argv[1:] if not argument.isdigit()):
        scenes = Pictures(folder)
        compare(f"{len(scenes)} scenes", scenes, ImageSpec(640, 640, "rgb", "letterbox"), 16)


if __name__ == "__main__":
    main()
