"""The command: what it writes predicts alone, and what answers otherwise does not pass."""

import json
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import onnx
import pytest

from shards.errors import BadData, BadSettings, GateFailed
from shards.read import Shards
from tests.train.served import small_detector
from train import agreement, evaluation, export, exported, modelfolder, writing
from train.predict import PRETRAINED
from train.reader import Reader

ROOT = Path(__file__).parents[2]


def exporting(words, out, *more):
    export.main([f"checkpoint={PRETRAINED}", f"data.root={words}", "data.split=train", f"out={out}", *more])


def last_line(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_every_format_passes_reads_and_is_evaluated(words, tmp_path, capsys):
    exporting(words, tmp_path / "edge", "to=onnx,torchscript,openvino", "json=true")
    told = {name: one["fp32"] for name, one in last_line(capsys)["exported"].items()}
    shards = Shards([str(words)], "train")
    images = [shards.image(place) for place in range(20)]
    expected = [one.text for one in Reader(PRETRAINED).read(images)]
    for one in told.values():
        assert one["same"] == one["samples"] == len(shards)
        assert [found.text for found in Reader(one["file"]).read(images)] == expected
    file, out = told["onnx"]["file"], tmp_path / "evaluation.json"
    evaluation.main(
        [f"checkpoint={file},{PRETRAINED}", f"data.root={words}", "data.split=train", f"out={out}"]
    )
    models = json.loads(out.read_text())["models"]
    assert models[file]["word_acc"] == models[str(PRETRAINED)]["word_acc"]
    assert models[file]["params"] == models[str(PRETRAINED)]["params"]


@pytest.mark.parametrize("change", [{"mean": 0.2}, {"std": 2.0}, {"fit": "letterbox"}, {"min_height": 512}])
def test_a_file_with_another_idea_of_images_fails(words, tmp_path, change):
    loaded = modelfolder.load(PRETRAINED)
    loaded.config["image"] |= change
    writing.write(loaded, "onnx", tmp_path / "model.onnx")
    shards = Shards([str(words)], "train")
    found = agreement.compare(str(PRETRAINED), tmp_path / "model.onnx", shards, 256)
    assert not found.equal
    assert found.worst


def test_a_file_that_answers_otherwise_ends_with_code_4_and_stays_away(words, tmp_path, monkeypatch, capsys):
    write = writing.write

    def tampered(loaded, name, path, precision):
        loaded.config["image"] |= {"mean": 0.1}
        write(loaded, name, path, precision)

    monkeypatch.setattr(writing, "write", tampered)
    with pytest.raises(GateFailed, match="onnx"):
        exporting(words, tmp_path / "edge")
    assert " became " in capsys.readouterr().out
    assert not (tmp_path / "edge/model.onnx").exists()


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (["to=pickle"], BadSettings, "there are: onnx"),
        (["samples=10"], BadSettings, "at least|less than 256"),
        (["precision=int4"], BadSettings, "there are: fp32, fp16, int8"),
        (["precision=int8", "max_drop=-1"], BadSettings, "max_drop=-1"),
        (["precision=int8", "calibrate_samples=0"], BadSettings, "calibrate_samples=0"),
        (["precision=int8", "calibrate=/no/where"], BadData, "/no/where"),
        (["to=torchscript", "precision=int8,fp16"], BadSettings, "int8: torchscript is written in fp32"),
        (["checkpoint="], BadSettings, "checkpoint= is required"),
        (["checkpoint=/no/where"], BadData, "/no/where"),
        (["data.split=nowhere"], BadData, "nowhere"),
    ],
)
def test_bad_input_is_named(words, tmp_path, given, kind, said):
    with pytest.raises(kind, match=said):
        exporting(words, tmp_path, *given)


def test_files_of_other_projects_are_told_from_ours(tmp_path):
    loaded = modelfolder.load(PRETRAINED)
    writing.write(loaded, "onnx", tmp_path / "model.onnx")
    import onnx

    made = onnx.load(str(tmp_path / "model.onnx"))
    del made.metadata_props[:]
    onnx.save(made, str(tmp_path / "foreign.onnx"))
    with pytest.raises(BadData, match=r"not made by train\.export"):
        exported.opened(tmp_path / "foreign.onnx")


def test_every_precision_is_written_where_a_format_has_it(words, tmp_path, capsys):
    formats = ("to=onnx,openvino,torchscript", "precision=fp32,fp16,int8")
    exporting(words, tmp_path, *formats, "max_drop=20", "json=true")
    told = last_line(capsys)["exported"]
    assert list(told) == ["onnx", "openvino", "torchscript"]
    assert all(sorted(one) == ["fp16", "fp32", "int8"] for one in told.values())
    assert "fp32 alone" in told["torchscript"]["int8"]["unsupported"]
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "model.bin", "model.fp16.bin", "model.fp16.onnx", "model.fp16.xml", "model.int8.bin",
        "model.int8.onnx", "model.int8.xml", "model.onnx", "model.torchscript", "model.xml",
    ]  # fmt: skip
    sizes = [told["onnx"][one]["bytes"] for one in ("fp32", "fp16", "int8")]
    assert sizes[0] > 1.7 * sizes[1]
    assert sizes[1] > 1.5 * sizes[2]
    wide = modelfolder.load(told["onnx"]["int8"]["file"]).config["precision"]
    assert wide == {"name": "int8", "wide": told["onnx"]["int8"]["wide"], "alone": True}
    assert told["onnx"]["fp16"]["same"] == told["onnx"]["fp16"]["samples"]
    assert "points_lost" in told["onnx"]["int8"]


@pytest.fixture
def losing(monkeypatch):
    """losing(enough) -> the layers of each file that was tried; those with fewer wide ones answer otherwise,
    and lose too much.
    """

    def set_up(enough):
        tried = []

        def compare(checkpoint, path, shards, samples, scored=False):
            tried.append(modelfolder.load(path).config["precision"]["wide"])
            passes = len(tried[-1]) >= enough
            lost = (0.4 if passes else 0.6) if scored else None
            return agreement.Agreement(1, passes and not scored, 0.1, ("worst",), lost)

        monkeypatch.setattr(agreement, "compare", compare)
        return tried

    return set_up


def test_the_layers_that_cost_most_are_kept_wide_until_int8_loses_little(words, tmp_path, losing, capsys):
    tried = losing(enough=4)
    exporting(words, tmp_path, "precision=int8", "calibrate_samples=16", "json=true")
    assert [len(wide) for wide in tried] == [1, 2, 3, 5]
    assert all(more[: len(less)] == less for less, more in pairwise(tried))
    assert last_line(capsys)["exported"]["onnx"]["int8"]["wide"] == tried[-1]


def test_the_layers_that_cost_most_are_kept_wide_until_fp16_answers_the_same(words, tmp_path, losing, capsys):
    tried = losing(enough=3)
    exporting(words, tmp_path, "precision=fp16", "calibrate_samples=16", "json=true")
    assert [len(wide) for wide in tried] == [0, 1, 2, 4]
    assert last_line(capsys)["exported"]["onnx"]["fp16"]["wide"] == tried[-1]
    assert [path.name for path in tmp_path.iterdir()] == ["model.fp16.onnx"]


def test_int8_that_loses_too_much_whatever_stays_wide_ends_with_code_4(words, tmp_path, losing, capsys):
    tried = losing(enough=1000)
    with pytest.raises(GateFailed, match=r"max_drop=0\.5"):
        exporting(words, tmp_path, "precision=int8", "calibrate_samples=16")
    assert len(tried) > 3
    assert "onnx int8: worst" in capsys.readouterr().out
    assert list(tmp_path.iterdir()) == []


def test_what_an_earlier_export_left_does_not_outlive_a_gate_that_fails(words, tmp_path, monkeypatch):
    exporting(words, tmp_path)
    assert (tmp_path / "model.onnx").exists()
    monkeypatch.setattr(agreement, "compare", lambda *a, **k: agreement.Agreement(1, 0, 0.1, ("worst",)))
    with pytest.raises(GateFailed, match="an earlier export left"):
        exporting(words, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_an_export_that_is_told_to_end_leaves_nothing(words, tmp_path):
    told = [f"checkpoint={PRETRAINED}", f"data.root={words}", "data.split=train", f"out={tmp_path}"]
    command = [sys.executable, "-m", "train.export", *told, "samples=100000"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob(".*/*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
    assert process.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("told", ["package=edge.tar", "to=", "precision="])
def test_settings_that_make_nothing_are_refused(told):
    with pytest.raises(BadSettings, match=told):
        export.main(["checkpoint=/no/where", told])


def test_data_of_another_task_is_refused_and_answers_without_words_are_told(words, tmp_path, capsys):
    detector = small_detector(tmp_path / "detector")
    with pytest.raises((BadData, BadSettings), match="word"):
        export.main([f"checkpoint={detector}", f"data.root={words}", f"out={tmp_path / 'out'}"])
    silent = agreement.Agreement(40, 40, 0.0, (), words=0)
    told = export.Made(tmp_path / "model.onnx", silent)
    assert "no word in any answer" in told.warning
    assert export.Made(tmp_path / "model.onnx", agreement.Agreement(40, 40, 0.0, (), words=3)).warning == ""


def test_a_file_whose_config_was_changed_says_so(words, tmp_path):
    exporting(words, tmp_path)
    made = onnx.load(str(tmp_path / "model.onnx"))
    for entry in made.metadata_props:
        entry.value = entry.value.replace('"height": 32', '"height": 64')
    onnx.save(made, str(tmp_path / "model.onnx"))
    with pytest.raises(BadData, match=r"model.onnx: cannot answer \[1, 1, 64, 100\]"):
        Reader(tmp_path / "model.onnx").read([Shards([str(words)], "train").image(0)])


@pytest.mark.skipif(bool(find_spec("tensorrt")), reason="tensorrt is installed: it is tried as a format")
def test_a_format_that_is_not_installed_is_a_row_with_the_command_that_makes_it(words, tmp_path, capsys):
    exporting(words, tmp_path, "to=onnx,tensorrt", "json=true")
    told = last_line(capsys)["exported"]
    assert "trtexec --onnx=model.onnx" in told["tensorrt"]["fp32"]["unsupported"]
    assert told["onnx"]["fp32"]["same"] > 0
    with pytest.raises(BadSettings, match="tensorrt fp32: tensorrt is not installed"):
        exporting(words, tmp_path, "to=tensorrt")
