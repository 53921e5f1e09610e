"""What codec=sequence keeps of a published teacher's answers to real words, slice by slice.

Needs the real data set slices: `OCR_REAL_DATA=DIR pytest tests/distill/test_sequence_real.py`.
"""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from distill.codecs import Kept, sequence
from train.foreign import import_crnn_pytorch
from train.modelfolder import load
from train.models import Output

DATA = Path(os.environ.get("OCR_REAL_DATA", Path(__file__).parents[3] / "shared" / "data"))
SLICES = ["iiit5k", "svt", "icdar2015_words", "icdar2003"]
BYTES = 96
pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not DATA.is_dir(), reason="no real data here; OCR_REAL_DATA=DIR says where it is"),
]


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    folder = tmp_path_factory.mktemp("real") / "model"
    import_crnn_pytorch(DATA / "weights" / "crnn_small_student_3.pt", folder)
    return load(folder)


@pytest.fixture(scope="module")
def answers(reader):
    """slice -> log-probabilities of its words."""
    found, image = {}, reader.task.image
    for name in SLICES:
        files = sorted(p for p in (DATA / name).rglob("*") if p.suffix.lower() in (".png", ".jpg"))
        parts = []
        for at in range(0, len(files), 64):
            canvases = np.stack([image.canvas(Image.open(file)) for file in files[at : at + 64]])
            pixels = (torch.from_numpy(canvases).float() / 255 - image.mean) / image.std
            with torch.inference_mode():
                parts.append(reader.model(pixels).logits.float().log_softmax(-1))
        found[name] = torch.cat(parts).clone()
    return found


@pytest.mark.parametrize("name", SLICES)
def test_real_answers_fit_a_hundred_bytes_and_no_reading_changes(reader, answers, name, capsys):
    calibration = torch.cat([some[::8] for some in answers.values()])
    codec = sequence.Codec(
        24, reader.task.channels, Kept("sequence", bytes=BYTES, prior=sequence.prior(calibration))
    )
    log_probs = answers[name]
    arrays, lost = codec.encode(log_probs)
    assert sum(array.bytes for array in codec.arrays) <= 100
    assert lost.samples == len(log_probs) > 300
    with capsys.disabled():
        print(f"\n{name}: {lost.samples} words, {BYTES} bytes: {lost.figures()}")
    assert lost.kl <= 0.01
    assert lost.kl_spoken <= 0.03
    assert lost.p99 <= 0.3
    decoded = codec.decode(arrays)
    read, told = (reader.task.decode(Output(some)) for some in (log_probs, decoded))
    assert [word.text for (word,) in told] == [word.text for (word,) in read]
    assert lost.changed == 0
