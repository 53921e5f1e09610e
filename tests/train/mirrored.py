"""What the tests of tracking look into: what a run logged, and what its trackers were told."""

import json
import struct
import time
import zlib
from pathlib import Path

from train.runfolder import read_metrics


def offline(run) -> list:
    """The records of all offline sessions of a run folder; wandb's own process may still be writing them."""
    until, found = time.monotonic() + 60, []
    for path in sorted(run.glob("wandb/offline-run-*/run-*.wandb")):
        while "exit" not in {record.WhichOneof("record_type") for record in records(path)}:
            assert time.monotonic() < until, f"{path} was never ended"
            time.sleep(0.1)
        found += records(path)
    return found


def records(path: Path) -> list:
    """The whole records of one session, as wandb's own file format holds them."""
    from wandb.proto import wandb_internal_pb2 as pb

    data, place, whole, found = path.read_bytes(), 7, b"", []
    while place + 7 <= len(data):
        left = 32768 - place % 32768
        crc, size, kind = struct.unpack("<IHB", data[place : place + 7])
        if left < 7 or size == kind == 0:
            place += left
            continue
        piece = data[place + 7 : place + 7 + size]
        place += 7 + size
        if len(piece) < size:
            break  # still being written
        assert crc == zlib.crc32(bytes([kind]) + piece)
        whole = piece if kind in (1, 2) else whole + piece
        if kind in (1, 4):
            found.append(pb.Record.FromString(whole))
    return found


def history(run) -> list[dict]:
    return [
        {i.key or ".".join(i.nested_key): json.loads(i.value_json) for i in record.history.item}
        for record in offline(run)
        if record.WhichOneof("record_type") == "history"
    ]


def files(run) -> Path:
    (found,) = run.glob("wandb/offline-run-*/files")
    return found


def mirrored(run, prefix: str) -> list[tuple]:
    keys = {k for line in read_metrics(run) for k in line if k.startswith(prefix)}
    return [
        (row["global_step"], {k: row[k] for k in keys if k in row})
        for row in history(run)
        if any(k in row for k in keys)
    ]


def logged(run, prefix: str) -> list[tuple]:
    lines = [(line["global_step"], line) for line in read_metrics(run)]
    kept = [(step, {k: v for k, v in line.items() if k.startswith(prefix)}) for step, line in lines]
    return [(step, line) for step, line in kept if line]


def scalars(run) -> dict[int, float]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "logs" / "tensorboard"))
    events.Reload()
    points = [(event.step, event.value) for event in events.Scalars("train/loss")]
    assert len(points) == len(dict(points)), "a point was drawn twice"
    return dict(points)
