"""What tests of prediction read: a model, pictures, and the rows that come back."""

import csv
import json
from pathlib import Path

import torch

from shards.image import ImageSpec
from shards.read import Shards
from train import modelfolder, predict
from train.models.crnn import Model
from train.models.crnn import Settings as Crnn
from train.tasks.recognise import Settings, Task

JPEG = b"\xff\xd8"


def model_folder(path: Path) -> Path:
    """A model folder whose random weights read something in every picture."""
    torch.manual_seed(4)
    task = Task(Settings(), ImageSpec())
    made = Model(Crnn(channels=[4, 4, 4, 4, 4, 4, 8], map_to_seq=8, rnn_hidden=8), task.image, task.channels)
    with torch.no_grad():
        made.dense.weight.mul_(30)
    modelfolder.save(path, made, task, model_name="crnn", task_name="recognise", extra={})
    return path


def files(words: Path, folder: Path) -> Path:
    """The 32 test words as files, in their order, and a note that is no picture."""
    shards = Shards([words], "test")
    for i in range(32):
        data = shards.image(i)
        (folder / f"{i:02d}.{'jpg' if data.startswith(JPEG) else 'png'}").write_bytes(data)
    (folder / "note.txt").write_text("not a picture")
    return folder


def rows(out: Path, *given: object) -> list[dict]:
    """What predict writes to a file, read back."""
    predict.main([*map(str, given), f"out={out}"])
    text = out.read_text()
    if out.suffix == ".csv":
        return list(csv.DictReader(text.splitlines()))
    return json.loads(text) if out.suffix == ".json" else [json.loads(line) for line in text.splitlines()]
