"""PaddleOCR's mobile recogniser, inside the rapidocr-onnxruntime package, reads the real slices as given.

Needs `pip install --no-deps rapidocr-onnxruntime` and the slices:
`OCR_REAL_DATA=DIR pytest tests/train/test_real_onnx.py`.
The weights stay where pip put them.
"""

import csv
import importlib.util
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shards.sample import Record, Word
from train import checkpoint
from train.modelfolder import load

DATA = Path(os.environ.get("OCR_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
PACKAGE = importlib.util.find_spec("rapidocr_onnxruntime")
SLICES = {  # label list, folder of its images, words read right here and by the package's own code, words
    "iiit5k": ("iiit5k/IIIT5K/test_gt.txt", "iiit5k/IIIT5K/test", 182, 183, 195),
    "svt": ("svt/test_gt.txt", "svt/test_words", 74, 71, 90),
    "icdar2015": (
        "icdar2015_words/WordRecognition/Challenge4_Test_Task3_GT.txt",
        "icdar2015_words/WordRecognition/TestSet",
        109,
        104,
        144,
    ),
}
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="no real data here; OCR_REAL_DATA=DIR says where it is"),
    pytest.mark.skipif(PACKAGE is None, reason="pip install --no-deps rapidocr-onnxruntime brings the file"),
    pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="needs the extra `onnx`"),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ppocr") / "model"
    weights = Path(PACKAGE.submodule_search_locations[0]) / "models" / "ch_PP-OCRv4_rec_infer.onnx"
    image = ["image.height=48", "image.width=320", "image.channels=bgr", "image.fit=keep"]
    checkpoint.main(["format=onnx", f"weights={weights}", f"out={folder}", "space=true", *image])
    return load(folder)


def test_its_list_is_taken_whole(reader):
    assert len(reader.model.classes) == 6625
    assert reader.task.channels == 6623  # two characters are others of the list after NFC
    assert reader.model.frames == 40


@pytest.mark.parametrize("name", SLICES)
def test_it_reads_about_what_its_own_code_reads(reader, name):
    listing, folder, right, theirs, n = SLICES[name]
    with open(DATA / listing, encoding="utf-8-sig", newline="") as lines:
        rows = list(csv.reader(lines, skipinitialspace=True, escapechar="\\", doublequote=False))
    task, image, predictions = reader.task, reader.task.image, []
    for start in range(0, n, 32):
        some = [image.canvas(Image.open(DATA / folder / file)) for file, _ in rows[start : start + 32]]
        pixels = (torch.from_numpy(np.stack(some)).float() / 255 - image.mean) / image.std
        with torch.inference_mode():
            predictions += task.decode(reader.model(pixels))
    meter = task.meter()
    meter.update(range(n), predictions, [Record((Word(label),), (1, 1), file) for file, label in rows])
    read = round(meter.compute()["word_acc_ics"] * n)
    assert read == pytest.approx(right, abs=1)
    assert read == pytest.approx(theirs, abs=0.05 * n)
