"""DALI: what it decodes, what it refuses, and where `auto` takes another engine."""

import os
import sys

import numpy as np
import pytest
import torch

from shards.engines import auto, dali, plain
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.read import Shards
from tests.shards.encoded import KINDS, encoded, given


def test_dali_decodes_what_the_reference_decodes():
    pytest.importorskip("nvidia.dali", reason="the extra `dali` is not installed")
    for channels in ("grey", "rgb"):
        spec = ImageSpec(31, 104, channels)  # of the picture's own size: nothing is resized
        for kind in KINDS:
            source = given(encoded(kind, 104, 31))
            read, wanted = (make(source, spec, 1).read([0]).pixels for make in (dali.Engine, plain.Engine))
            rounding = channels == "grey" and kind in ("RGB png", "P png")
            assert np.abs(read.astype(int) - wanted).max() <= rounding, (channels, kind)


def test_dali_refuses_what_it_cannot_do_alike():
    with pytest.raises(BadSettings, match=r"image\.resample=nearest .*data\.engine=plain"):
        dali.Engine(given(), ImageSpec(resample="nearest"))
    for spec in (ImageSpec(polarity="dark_on_light"), ImageSpec(min_height=16)):
        with pytest.raises(BadSettings, match=r"image\.polarity=.*data\.engine=plain"):
            dali.Engine(given(), spec)


@pytest.mark.parametrize("absent", ["nvidia.dali", "nvidia.nvimgcodec"])
def test_without_dali_the_extra_is_named_and_auto_falls_back(words, monkeypatch, absent):
    monkeypatch.setitem(sys.modules, absent, None)
    if "nvidia" in sys.modules:
        monkeypatch.delattr(sys.modules["nvidia"], absent.rpartition(".")[2], raising=False)
    shards, scenes = Shards([words], "val"), ImageSpec(320, 320, "rgb", "letterbox")
    with pytest.raises(BadSettings, match=r"not installed .*pip install 'ocr-distillery\[dali\]'"):
        dali.Engine(shards, scenes, 1)
    engine = auto.Engine(shards, scenes, 1, "cuda:0")
    assert "ocr-distillery[dali]" in engine.why
    assert engine.triple == plain.Engine(shards, scenes, 1).triple
    assert engine.read([0]).damage == {}


def test_a_dali_that_does_not_start_says_why(monkeypatch):
    pytest.importorskip("nvidia.dali", reason="the extra `dali` is not installed")

    def fail(self, jobs):
        raise RuntimeError("Traceback ...\nencountered:\n\nno such codec\nmore")

    monkeypatch.setattr(dali.Engine, "_run", fail)
    with pytest.raises(BadSettings, match=r"DALI does not start \(no such codec\)"):
        dali.Engine(given(), ImageSpec())


@pytest.mark.parametrize(
    ("device", "spec", "gpu"),
    [
        ("cpu", ImageSpec(640, 640), None),
        ("cuda:1", ImageSpec(), None),
        ("cuda:1", ImageSpec(640, 640), 1),
        ("cuda", ImageSpec(640, 640), 0),
    ],
)
def test_scenes_alone_are_decoded_on_a_gpu(device, spec, gpu):
    assert dali.gpu_of(device, spec) == gpu


def test_auto_is_the_engine_that_it_picked_and_says_why(words):
    shards = Shards([words], "val")
    for device, why in (("cpu", auto.WHY_PLAIN), ("cuda", auto.WHY_WORDS)):
        engine = auto.Engine(shards, ImageSpec(), 1, device)
        assert (engine.triple, engine.why) == (plain.Engine(shards, ImageSpec(), 1).triple, why)


def test_stderr_is_given_back(capfd):
    with dali._quiet():
        os.write(2, b"unheard")
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_auto_falls_back_where_dali_has_no_gpu():
    pytest.importorskip("nvidia.dali", reason="the extra `dali` is not installed")
    source, scenes = given(encoded("RGB jpeg", 90, 70)), ImageSpec(320, 320)
    engine = auto.Engine(source, scenes, 1, "cuda:0")
    assert engine.why.startswith("auto: data.engine=dali: DALI does not start (")
    assert np.array_equal(engine.read([0]).pixels, plain.Engine(source, scenes, 1).read([0]).pixels)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_scenes_decoded_on_a_gpu_agree_with_the_reference():
    source, spec = given(encoded("RGB jpeg", 900, 700)), ImageSpec(640, 640, "rgb", "letterbox")
    engine = auto.Engine(source, spec, 1, "cuda:0")
    assert engine.triple.startswith("dali/mixed")
    read, wanted = engine.read([0]), plain.Engine(source, spec, 1).read([0])
    assert np.array_equal(read.affines, wanted.affines)
    assert np.abs(read.pixels.astype(int) - wanted.pixels).mean() < 2
