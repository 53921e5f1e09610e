"""How long a picture takes, from the file's bytes to what was read."""

import statistics
import time
from collections.abc import Callable, Container
from typing import Any

import torch

from shards.errors import BadData
from shards.read import Shards

WORDS = 100


def latency(read: Callable[[bytes], Any], shards: Shards, damage: Container[int] = ()) -> float:
    """Median milliseconds of `read`, one encoded image at a time, on one CPU thread.

    damage: uids of samples to leave out.
    """
    threads = torch.get_num_threads()
    whole = [place for place, uid in enumerate(shards.uids.tolist()) if uid not in damage]
    if not whole:
        raise BadData(
            f"{', '.join(map(str, shards.folders))}: every sample is damaged, no latency to measure"
        )
    torch.set_num_threads(1)
    try:
        images = [shards.image(whole[i % len(whole)]) for i in range(WORDS + 10)]
        times = []
        for image in images:
            begun = time.perf_counter()
            read(image)
            times.append(1000 * (time.perf_counter() - begun))
        return statistics.median(times[10:])
    finally:
        torch.set_num_threads(threads)
