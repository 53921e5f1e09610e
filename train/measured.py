"""How good a model is on a data set, and what it was measured on: what config.json says under `metrics` and
`measured`. A student's figures are compared with its teacher's where the digests are the same.
"""

import hashlib
from typing import Any

import numpy as np
from torch import nn

from shards.errors import BadSettings
from shards.loader import Where
from shards.read import Shards
from shards.written import digest
from train.judging import judge, still_loader

SPLITS = ("val", "test")  # what a model that came from elsewhere may be measured on


def digest_of(shards: Shards, positions: np.ndarray) -> str:
    """Which samples were measured on: of a whole split its digest, of a share of it also who they are."""
    if len(positions) == len(shards):
        return shards.digest
    return digest([shards.digest, hashlib.sha256(shards.uids[positions].tobytes()).hexdigest()])


def measure(
    model: nn.Module, task: Any, where: Where, batch: int = 64, device: str = "cpu"
) -> dict[str, Any]:
    """{"metrics": the meter's figures, "measured": split, digest and data sets}, each sample read once."""
    if where.split not in SPLITS:
        raise BadSettings(f"data.split={where.split}: models are measured on {' or '.join(SPLITS)}")
    shards = Shards(where.root, where.split, fetched=where.room)
    task.check(shards)
    damage: dict[int, str] = {}
    source = still_loader(shards, task, batch, None, where.engine, where.threads, device)
    meter = judge(model, task, source, damage=damage)
    sets = {m.key: {"digest": m.digest, "samples": m.written} for m in shards.manifests}
    return {
        "metrics": {**meter.compute(), "damaged": float(len(damage))},
        "measured": {"split": where.split, "digest": shards.digest, "sets": sets},
    }
