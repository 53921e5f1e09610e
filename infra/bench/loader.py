"""Decoded canvases per second: our plain engine against webdataset with Pillow, on the same shards.

python infra/bench/loader.py DIR [split] [threads]

Both give grey 32x100 canvases of every sample once; the page cache is warm (a first pass is not timed).
"""

import io
import sys
import time

import numpy as np
import webdataset
from PIL import Image

from shards.engines.plain import Engine
from shards.image import ImageSpec
from shards.read import Shards

BATCH, ROUNDS = 256, 3


def ours(root: str, split: str, threads: int, shuffled: bool) -> int:
    """One pass of the plain engine; returns the samples."""
    shards = Shards([root], split)
    engine = Engine(shards, ImageSpec(), threads)
    order = np.random.default_rng(0).permutation(len(shards)) if shuffled else np.arange(len(shards))
    for start in range(0, len(shards), BATCH):
        engine.read(order[start : start + BATCH])
    return len(shards)


def theirs(root: str, split: str) -> int:
    """One pass of webdataset + Pillow in this process; returns the samples."""
    spec, count = ImageSpec(), 0
    for sample in webdataset.WebDataset(
        [str(p) for p in sorted(Shards([root], split).folders[0].glob("*.tar"))], shardshuffle=False
    ):
        spec.canvas(Image.open(io.BytesIO(sample.get("jpg") or sample["png"])))
        count += 1
    return count


def speed(function, *arguments) -> float:
    """Samples per second, the best of a few passes after one that is not timed."""
    function(*arguments)
    best = 0.0
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        count = function(*arguments)
        best = max(best, count / (time.perf_counter() - begun))
    return best


def main() -> None:
    """Prints one line per reader and the ratios."""
    root, split = sys.argv[1], (sys.argv[2] if len(sys.argv) > 2 else "train")
    threads = int(sys.argv[3]) if len(sys.argv) > 3 else 1
    peer = speed(theirs, root, split)
    print(f"webdataset {webdataset.__version__} + Pillow, stored order: {peer:,.0f} images/s")
    for shuffled in (False, True):
        rate = speed(ours, root, split, threads, shuffled)
        order = "shuffled" if shuffled else "stored order"
        ratio = f"{rate / peer:.2f} x the peer"
        print(f"plain engine, {threads} thread(s), {order}: {rate:,.0f} images/s, {ratio}")


if __name__ == "__main__":
    main()
