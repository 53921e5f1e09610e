"""The archive alone reads what the checkpoint reads, on a machine that has nothing of ours."""

import ast
import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.read import Shards
from train import export, modelfolder, package
from train.edge import read
from train.predict import PRETRAINED
from train.reader import Reader


def packed(words, tmp_path, *more):
    export.main([
        f"checkpoint={PRETRAINED}", f"data.root={words}", "data.split=train", f"out={tmp_path / 'out'}",
        "max_drop=20", f"package={tmp_path / 'edge.zip'}", *more,
    ])  # fmt: skip
    place = tmp_path / "empty"
    with zipfile.ZipFile(tmp_path / "edge.zip") as archive:
        archive.extractall(place)
    return place


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_what_is_unpacked_reads_alone_what_the_model_reads(words, tmp_path, precision):
    place = packed(words, tmp_path, f"precision={precision}")
    shards, pictures = Shards([str(words)], "train"), []
    for position in range(12):
        data = shards.image(position)
        path = place / f"{position}.img"
        path.write_bytes(data)
        pictures.append(path.name)
    (model,) = place.glob("model*.onnx")
    out = subprocess.run(
        [sys.executable, "-P", "read.py", *pictures], cwd=place, text=True, capture_output=True, check=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
    ).stdout  # fmt: skip
    source = PRETRAINED if precision == "fp32" else model
    expected = [one.text for one in Reader(source).read([shards.image(i) for i in range(12)])]
    assert [line.split("\t") for line in out.splitlines()] == [
        list(p) for p in zip(pictures, expected, strict=True)
    ]
    assert any(expected)


def test_the_archive_is_whole_and_the_same_on_every_day(words, tmp_path):
    place = packed(words, tmp_path)
    names = {path.name for path in place.iterdir()}
    assert names == {"model.onnx", "read.py", "README.md", "LICENCES.md", "sha256sums"}
    for line in (place / "sha256sums").read_text().splitlines():
        digest, _, name = line.partition("  ")
        assert hashlib.sha256((place / name).read_bytes()).hexdigest() == digest
        names.discard(name)
    assert names == {"sha256sums"}
    said = "- iiit5k-train-13e448: none stated (research use; images and shards are not to be passed on)"
    assert said in (place / "LICENCES.md").read_text()
    before = (tmp_path / "edge.zip").read_bytes()
    package.write(tmp_path / "edge.zip", tmp_path / "out" / "model.onnx", modelfolder.load(PRETRAINED))
    assert (tmp_path / "edge.zip").read_bytes() == before


def test_the_program_says_what_it_does_not_read_and_goes_on(words, tmp_path):
    place = packed(words, tmp_path)
    data = Shards([str(words)], "train").image(0)
    (place / "a b.jpg").write_bytes(data)
    Image.new("I;16", (40, 20)).save(place / "deep.png")
    Image.new("RGBA", (40, 20)).save(place / "clear.png")
    (place / "cut.jpg").write_bytes(data[:100])
    names = ["deep.png", "clear.png", "cut.jpg", "gone.jpg", "a b.jpg"]
    done = subprocess.run([sys.executable, "read.py", *names], cwd=place, text=True, capture_output=True)
    assert done.returncode == 0
    assert done.stdout.split("\t")[0] == "a b.jpg"
    assert [line.partition(": not read: ")[0] for line in done.stderr.splitlines()] == names[:-1]
    told = subprocess.run([sys.executable, "read.py"], cwd=place, text=True, capture_output=True)
    assert "python read.py PICTURE" in told.stderr


def test_all_may_read_what_is_unpacked(words, tmp_path):
    packed(words, tmp_path)
    with zipfile.ZipFile(tmp_path / "edge.zip") as archive:
        assert {one.external_attr >> 16 for one in archive.infolist()} == {0o100644}
        assert archive.read("README.md").decode().startswith("# model.onnx: a file for devices")


def test_the_program_is_short_and_imports_nothing_of_ours():
    text = package.PROGRAM.read_text()
    assert len(text.splitlines()) <= 60
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {a.name for n in nodes if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module for n in nodes if isinstance(n, ast.ImportFrom)}
    assert names <= {"json", "os", "sys", "pathlib", "numpy", "onnxruntime", "PIL"}


SPECS = st.builds(
    ImageSpec, height=st.integers(8, 40), width=st.integers(8, 120), pad=st.integers(0, 255),
    channels=st.sampled_from(["grey", "rgb", "bgr"]), fit=st.sampled_from(["stretch", "keep"]),
    resample=st.sampled_from(["bilinear", "bicubic", "nearest"]), mean=st.floats(0, 1), std=st.floats(0.1, 2),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(SPECS, st.integers(1, 200), st.integers(1, 90), st.sampled_from(["L", "RGB", "P"]), st.integers(0, 9))
def test_its_canvases_are_ours(spec, w, h, mode, seed):
    noise = np.random.default_rng(seed).integers(0, 256, (h, w, 3), np.uint8)
    picture = Image.fromarray(noise).convert(mode)
    reader = object.__new__(read.Reader)
    reader.spec = {
        key: getattr(spec, key)
        for key in ("height", "width", "pad", "channels", "fit", "resample", "mean", "std")
    }
    ours = (spec.canvas(picture).astype(np.float32) / 255 - spec.mean) / spec.std
    np.testing.assert_allclose(reader.canvas(picture), ours, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"image": {"min_height": 64}}, "image.min_height=64"),
        ({"image": {"polarity": "dark_on_light"}}, "image.polarity=dark_on_light"),
        ({"image": {"fit": "keep", "buckets": [50, 100]}}, r"image\.buckets"),
        ({"decoder": {"name": "beam"}}, "decoder=beam"),
        ({"finds": True}, "finds words in photographs"),
    ],
)
def test_what_the_program_cannot_do_is_refused(change, said):
    loaded = modelfolder.load(PRETRAINED)
    loaded.task.image = replace(loaded.task.image, **change.get("image", {}))
    loaded.task.finds = change.get("finds", False)
    loaded.config.update({key: change[key] for key in ("decoder",) if key in change})
    with pytest.raises(BadSettings, match=said):
        package.check(loaded)


def test_an_archive_needs_the_onnx_file(words, tmp_path):
    with pytest.raises(BadSettings, match="to=onnx"):
        packed(words, tmp_path, "to=torchscript")
