"""Every reading of a tiny line with its probability, by going through all paths."""

import itertools
from collections import defaultdict

import numpy as np
import torch

from train.charset import Charset
from train.decode import log_softmax

ABC = Charset("abc")


def lines(count, steps, classes, scale=2.0, seed=0):
    """Logits float32 [N,L,C]."""
    draw = torch.Generator().manual_seed(seed)
    return scale * torch.randn(count, steps, classes, generator=draw)


def all_readings(logits):
    """{reading: the log of the sum over its paths} of one line [L,C]."""
    rows, parts = log_softmax(logits[None].numpy())[0].astype(float), defaultdict(list)
    for path in itertools.product(range(rows.shape[1]), repeat=len(rows)):
        reading = tuple(c for c, _ in itertools.groupby(path) if c)
        parts[reading].append(sum(rows[t, c] for t, c in enumerate(path)))
    return {reading: float(np.logaddexp.reduce(logs)) for reading, logs in parts.items()}


def near_best(found, scores):
    """Whether a reading has the best score, or ties with it by the rounding of float32."""
    best = max(scores.values())
    return scores.get(found, -np.inf) >= best - 1e-4 * max(1.0, abs(best))
