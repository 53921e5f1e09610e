"""Every model in every format answers what it answers itself, at any batch and at every width of its spec."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.lookup import find, members
from tests.train.test_models import MODELS, build
from train import exported, modelfolder, writing

TAKEN = {"paddle": ("crnn", "densenet", "mobilenet", "resnet", "yolo")}  # by formats that do not take all
FORMATS = [name for name in members(exported.SEAM) if not find(exported.SEAM, name).absent(ImageSpec())]
ROOT = Path(__file__).parents[2]
BUCKETS = ImageSpec(width=160, fit="keep", buckets=[64, 112, 160])


def loaded(model, name="own"):
    """As modelfolder.load would hand it over."""
    finds, charset = hasattr(model, "grids"), SimpleNamespace(characters="ab")
    task = SimpleNamespace(image=model.image, finds=finds, charset=charset)
    return modelfolder.Loaded(model.eval(), task, {"format": 1, "name": name}, 0)


def through(model, form, tmp_path):
    path = tmp_path / f"model{find(exported.SEAM, form).SUFFIXES[0]}"
    writing.write(loaded(model), form, path)
    text, run = exported.opened(path)
    told = modelfolder._config(text.encode(), path)
    return exported.Model(run, exported.answers_of(told, path), model.image)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", MODELS)
def test_every_model_answers_alike_at_any_batch(name, form, tmp_path):
    model = build(name).eval()
    if name not in TAKEN.get(form, MODELS):
        with pytest.raises(BadSettings, match="does not take this model"):
            through(model, form, tmp_path)
        return
    other = through(model, form, tmp_path)
    for samples in (1, 3, 16):
        images = torch.randn(samples, model.image.depth, model.image.height, model.image.width)
        with torch.inference_mode():
            mine, its = model(images), other(images)
        assert its.grids == mine.grids
        torch.testing.assert_close(its.logits, mine.logits, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in TAKEN])
@pytest.mark.parametrize("name", ["crnn", "svtr", "densenet"])
def test_images_of_every_width_are_read_at_their_own(name, form, tmp_path):
    model = build(name, BUCKETS).eval()
    other = through(model, form, tmp_path)
    for widths in ([40, 64, 64], [70, 112], [160], [20, 100, 130, 160, 64]):
        images = torch.randn(len(widths), 1, 32, 160)
        with torch.inference_mode():
            mine, its = (one(images, torch.tensor(widths)) for one in (model, other))
        assert np.array_equal(its.steps, mine.steps)
        torch.testing.assert_close(its.logits, mine.logits, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("form", FORMATS)
def test_a_model_is_as_it_was_after_it_was_written(form, tmp_path):
    model = build("crnn").eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    through(model, form, tmp_path)
    assert not any(part.training for part in model.modules())
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_no_two_formats_write_the_same_file():
    every = [suffix for name in members(exported.SEAM) for suffix in find(exported.SEAM, name).SUFFIXES]
    assert len(every) == len(set(every))


def test_a_file_runs_with_as_many_threads_as_are_due_now(monkeypatch, tmp_path):
    opened, path = [], tmp_path / "model.onnx"
    writing.write(loaded(build("crnn")), "onnx", path)
    onnx = find(exported.SEAM, "onnx")
    read = onnx.read
    monkeypatch.setattr(onnx, "read", lambda path, threads: opened.append(threads) or read(path, threads))
    threads = torch.get_num_threads()
    _, run = exported.opened(path)
    inputs = [np.zeros((1, 1, 32, 100), np.float32)]
    try:
        for wanted in (threads, 3, 3, threads):
            torch.set_num_threads(wanted)
            run(inputs)
    finally:
        torch.set_num_threads(threads)
    assert opened == [threads, 3, threads]


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS)
def test_a_process_hears_signals_after_files_were_opened_and_closed(form, tmp_path):
    through(build("crnn"), form, tmp_path)
    (path,) = tmp_path.glob(f"*{find(exported.SEAM, form).SUFFIXES[0]}")
    code = (
        "import gc, os, signal, sys; from pathlib import Path; from train import exported\n"
        "opened = [exported.opened(Path(sys.argv[1])) for _ in range(2)]\n"
        "while opened: opened.pop(0); gc.collect()\n"
        "signal.signal(signal.SIGTERM, lambda *_: print('heard'))\n"
        "os.kill(os.getpid(), signal.SIGTERM)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


@pytest.mark.parametrize("form", FORMATS)
def test_a_cut_file_is_named(form, tmp_path):
    path = tmp_path / f"model{find(exported.SEAM, form).SUFFIXES[0]}"
    writing.write(loaded(build("crnn")), form, path)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(BadData, match=str(path)):
        exported.opened(path)


@pytest.mark.skipif("openvino" not in FORMATS, reason="no OpenVINO here")
def test_a_network_of_openvino_wants_the_weights_it_was_written_with(tmp_path):
    path, weights = tmp_path / "model.xml", tmp_path / "model.bin"
    writing.write(loaded(build("crnn")), "openvino", path)
    whole = weights.read_bytes()
    for content in (whole[:-40] + bytes(40), whole[:-40]):
        weights.write_bytes(content)
        with pytest.raises(BadData, match=r"model\.xml: (model.bin beside it is not|not a network)"):
            exported.opened(path)
    weights.unlink()
    with pytest.raises(BadData, match=r"model\.xml: model\.bin is missing beside it"):
        exported.opened(path)


def test_another_kind_of_file_is_refused(tmp_path):
    path = tmp_path / "model.pickle"
    path.write_bytes(b"1")
    with pytest.raises(BadData, match="a model is a folder"):
        modelfolder.load(path)


def test_what_cannot_be_written_here_says_how_it_is_made_elsewhere():
    tensorrt = find(exported.SEAM, "tensorrt")
    assert tensorrt.recipe(ImageSpec()) == (
        "trtexec --onnx=model.onnx --saveEngine=model.engine --noTF32 --minShapes=images:1x1x32x100 "
        "--optShapes=images:16x1x32x100 --maxShapes=images:256x1x32x100"
    )
    assert "--minShapes=images:1x1x32x64,steps:1 " in tensorrt.recipe(BUCKETS)
    assert "--maxShapes=images:256x1x32x160,steps:256" in tensorrt.recipe(BUCKETS)
    absent = [name for name in members(exported.SEAM) if name not in FORMATS]
    assert all("installed" in find(exported.SEAM, name).absent(BUCKETS) for name in absent)
