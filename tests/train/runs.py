"""What runs leave: the bytes of their model folders, their metrics, their status."""

import json
from pathlib import Path

from train.runfolder import read_metrics

LONG = ["fit.epochs=4", "fit.batch=4"]  # 96 steps: long enough to be hit


def folders(run: Path) -> dict[str, bytes]:
    """The bytes of best/ and last/."""
    return {
        f"{p.parent.name}/{p.name}": p.read_bytes() for f in ("best", "last") for p in (run / f).iterdir()
    }


def values(run, *keys) -> list[tuple]:
    return [(line["global_step"], *(line[k] for k in keys)) for line in read_metrics(run) if keys[0] in line]


def status(run) -> dict:
    return json.loads((run / "status.json").read_text())
