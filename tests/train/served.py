"""A served model for tests: in a thread of this process, or as the command that people type."""

import base64
import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import torch

from shards.image import ImageSpec
from train import modelfolder
from train.models.yolo import Model
from train.models.yolo import Settings as Yolo
from train.tasks.boxes import Settings, Task

ROOT = Path(__file__).resolve().parent.parent.parent
JPEG = "image/jpeg"


def small_detector(path: Path) -> Path:
    """A model folder whose random weights find something in every picture."""
    torch.manual_seed(3)
    task = Task(Settings(threshold=0.0, floor=0.0, most=4), ImageSpec(64, 96, "rgb", "letterbox"))
    made = Model(Yolo("p"), task.image, task.channels)
    modelfolder.save(path, made, task, model_name="yolo", task_name="boxes", extra={})
    return path


def ask(
    address: str, path: str, body: bytes | None = None, kind: str = JPEG, method: str = ""
) -> tuple[int, Any]:
    """(status, answer) of one request: JSON as values, anything else as text."""
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)) as line:
        headers = {"Content-Type": kind} if kind else {}
        line.request(method or ("GET" if body is None else "POST"), path, body, headers)
        answer = line.getresponse()
        data = answer.read()
        told = answer.headers.get("Content-Type", "").startswith("application/json")
        return answer.status, json.loads(data) if told else data.decode()


def together(*images: bytes, **more: Any) -> bytes:
    """The body of a batch."""
    return json.dumps(
        {"images": [{"data": base64.b64encode(data).decode(), **more} for data in images]}
    ).encode()


def metric(address: str, line: str) -> float:
    """The number behind a name with its labels, 0 where it is not told."""
    found = re.search(rf"^{re.escape(line)} (\S+)$", ask(address, "/metrics")[1], re.M)
    return float(found[1]) if found else 0.0


@contextmanager
def served(*argv: str) -> Iterator[Any]:
    """A server in a thread; it has `address` and `desk`."""
    from shards import config
    from train import serve, servelisten

    settings = config.read(serve.Settings, "serve", ["port=0", *map(str, argv)])
    with servelisten.Server(settings) as server:
        thread = Thread(target=server.run)
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join()


@contextmanager
def command(*argv: str, cwd: Path, **env: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """(process, address) of `python -m train.serve`."""
    line = [sys.executable, "-W", "error", "-m", "train.serve", *map(str, argv), "port=0"]
    around = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **env}
    process = subprocess.Popen(
        line, cwd=cwd, env=around, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        told = process.stdout.readline() if process.stdout else ""
        found = re.search(r"http://\S+", told)
        assert found, told + (process.stderr.read() if process.stderr else "")
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()
