"""The published student of a crnn-pytorch fork must read here what its own code reads: the whole chain.

Needs the real data set slices: `OCR_REAL_DATA=DIR pytest tests/train/test_real_weights.py`.
"""

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shards.sample import Record, Word
from train.foreign import import_crnn_pytorch
from train.modelfolder import load

DATA = Path(os.environ.get("OCR_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
SLICES = {  # label list, folder of its images, words read right by the published code, words
    "iiit5k": ("iiit5k/IIIT5K/test_gt.txt", "iiit5k/IIIT5K/test", 146, 195),
    "svt": ("svt/test_gt.txt", "svt/test_words", 62, 90),
    "icdar2015": (
        "icdar2015_words/WordRecognition/Challenge4_Test_Task3_GT.txt",
        "icdar2015_words/WordRecognition/TestSet",
        78,
        144,
    ),
}
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="no real data here; OCR_REAL_DATA=DIR says where it is"),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "model"
    import_crnn_pytorch(DATA / "weights" / "crnn_small_student_3.pt", folder)
    return load(folder)


def words(listing: Path) -> list[tuple[str, str]]:
    """(file name, label) of lines like `word_1.png, "JOINT"`; inner quotes are escaped by a backslash."""
    with open(listing, encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines, skipinitialspace=True, escapechar="\\", doublequote=False)
        return [(name, label) for name, label in rows]


@pytest.mark.parametrize("name", SLICES)
def test_the_published_student_reads_what_its_own_code_reads(reader, name):
    listing, folder, right, n = SLICES[name]
    rows = words(DATA / listing)
    assert len(rows) == n
    task, image = reader.task, reader.task.image
    canvases = np.stack([image.canvas(Image.open(DATA / folder / file)) for file, _ in rows])
    pixels = (torch.from_numpy(canvases).float() / 255 - image.mean) / image.std
    with torch.inference_mode():
        predictions = task.decode(reader.model(pixels))
    records = [Record((Word(label),), (1, 1), file) for file, label in rows]
    meter = task.meter()
    meter.update(range(n), predictions, records)
    assert round(meter.compute()["word_acc_ics"] * n) == pytest.approx(right, abs=1)


def test_the_published_student_has_its_published_size(reader):
    assert sum(p.numel() for p in reader.model.parameters()) == 922_629
    assert reader.model.frames == 24
