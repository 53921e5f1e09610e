"""The command: what it writes predicts alone, and what answers otherwise does not pass."""

import json

import pytest

from shards.errors import BadData, BadSettings, GateFailed
from shards.read import Shards
from train import agreement, evaluation, export, exported, modelfolder
from train.predict import PRETRAINED
from train.reader import Reader


def exporting(words, out, *more):
    export.main([f"checkpoint={PRETRAINED}", f"data.root={words}", "data.split=train", f"out={out}", *more])


def test_every_format_passes_reads_and_is_evaluated(words, tmp_path, capsys):
    exporting(words, tmp_path / "edge", "to=onnx,torchscript,openvino", "json=true")
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["exported"]
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
    export.write(loaded, "onnx", tmp_path / "model.onnx")
    shards = Shards([str(words)], "train")
    found = agreement.compare(str(PRETRAINED), tmp_path / "model.onnx", shards, 256)
    assert not found.equal
    assert found.worst


def test_a_file_that_answers_otherwise_ends_with_code_4_and_stays_away(words, tmp_path, monkeypatch, capsys):
    write = export.write

    def tampered(loaded, name, path):
        loaded.config["image"] |= {"mean": 0.1}
        write(loaded, name, path)

    monkeypatch.setattr(export, "write", tampered)
    with pytest.raises(GateFailed, match="onnx"):
        exporting(words, tmp_path / "edge")
    assert " became " in capsys.readouterr().out
    assert not (tmp_path / "edge/model.onnx").exists()


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (["to=pickle"], BadSettings, "there are: onnx"),
        (["samples=10"], BadSettings, "at least|less than 256"),
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
    export.write(loaded, "onnx", tmp_path / "model.onnx")
    import onnx

    made = onnx.load(str(tmp_path / "model.onnx"))
    del made.metadata_props[:]
    onnx.save(made, str(tmp_path / "foreign.onnx"))
    with pytest.raises(BadData, match=r"not made by train\.export"):
        exported.opened(tmp_path / "foreign.onnx")
