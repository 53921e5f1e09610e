"""Recognisers that are only ONNX files: imported, read like any model, refused where they do not fit."""

import copy
import importlib.util
import json

import pytest
import torch

from shards import config
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train import checkpoint, evaluation, modelfolder, onnxfile, predict, starting, workbench
from train.models import onnx as member
from train.onnxfile import order

pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
onnx = pytest.importorskip("onnx", reason="needs the extra `onnx`")
IMAGE = ["image.height=16", "image.width=48", "image.channels=bgr", "image.fit=keep"]
LETTERS = "abcdefghij"


@pytest.fixture
def bring(tmp_path, tiny_onnx):
    """bring(*settings, characters=, ...) imports a tiny file into tmp_path/m and loads it."""

    def run(*more, characters=LETTERS, **how):
        (tmp_path / "keys.txt").write_bytes("".join(f"{c}\n" for c in characters).encode())
        tiny_onnx(tmp_path / "rec.onnx", **how)
        listed = [f"characters={tmp_path / 'keys.txt'}"] if characters else []
        checkpoint.main([
            "format=onnx", f"weights={tmp_path / 'rec.onnx'}", f"out={tmp_path / 'm'}", *IMAGE, *listed, *more
        ])  # fmt: skip
        return modelfolder.load(tmp_path / "m")

    return run


def answers(loaded, n=5):
    images = torch.randn(n, 3, 16, 48, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return loaded.model(images).logits


def test_a_file_becomes_a_folder_that_answers_log_probabilities_from_its_path_alone(bring, tmp_path):
    loaded = bring()
    (tmp_path / "rec.onnx").unlink()
    got = answers(modelfolder.load(tmp_path / "m"))
    assert got.shape == (5, 12, 11)
    assert got.dtype == torch.float32
    assert torch.allclose(got.exp().sum(-1), torch.ones(5, 12), atol=1e-5)
    assert loaded.model.frames == 12
    assert loaded.task.charset.characters == LETTERS
    assert loaded.config["source"]["format"] == "onnx"
    assert not list(loaded.model.parameters())


def test_the_same_file_gives_the_same_bytes_and_digest(bring, tmp_path):
    bring()
    first = {p.name: p.read_bytes() for p in (tmp_path / "m").iterdir()}
    bring()
    assert first == {p.name: p.read_bytes() for p in (tmp_path / "m").iterdir()}
    assert str(tmp_path).encode() not in b"".join(first.values())


@pytest.mark.parametrize("ending", ["softmax", "logits"])
def test_what_softmax_leaves_undone_is_done(bring, ending):
    loaded = bring(ending=ending)
    assert loaded.model.settings.answers == ("probabilities" if ending == "softmax" else "logits")
    assert torch.allclose(answers(loaded), answers(bring(ending="softmax")), atol=1e-3)


def test_the_blank_comes_first_wherever_the_file_has_it(bring):
    first, last = answers(bring("blank=first")), answers(bring("blank=last"))
    assert torch.equal(last[..., 0], first[..., 10])
    assert torch.equal(last[..., 1:], first[..., :10])


def test_a_fixed_batch_size_changes_nothing(bring):
    assert torch.allclose(answers(bring(batch=2)), answers(bring()), atol=1e-6)


def test_a_file_may_carry_its_characters_and_a_space_after_them(bring):
    loaded = bring("space=true", characters="", metadata="\n".join(LETTERS[:9]))
    assert loaded.task.charset.characters == LETTERS[:9] + " "


def test_one_of_several_outputs_is_chosen_by_name(bring):
    assert bring("output=logits", ending="both").model.settings.answers == "logits"
    with pytest.raises(BadSettings, match=r"output=\?, which of its outputs: answer, logits"):
        bring(ending="both")


def test_a_character_that_stands_twice_adds_up(bring):
    single, merged = answers(bring()).exp(), bring(characters=["a", "\u212b", *"cdefghi", "\u00c5"])
    assert merged.task.charset.characters == "a\u00c5cdefghi"
    got = answers(merged).exp()
    assert torch.allclose(got[..., 2], single[..., 2] + single[..., 10], atol=1e-6)
    assert torch.allclose(got.sum(-1), torch.ones(5, 12), atol=1e-5)
    assert "U+00C5" in json.dumps(merged.config["source"])


def test_what_no_label_can_hold_keeps_its_class_under_a_private_character():
    found = order(["a", "", "ch", "\u0958", "b"], "first", False)
    assert found.characters == "a\U000f0000\U000f0001\U000f0002b"
    assert found.classes == [0, 1, 2, 3, 4, 5]
    assert "'ch' (U+0063 U+0068)" in found.notes[0]
    assert order(["\U000f0000", ""], "last", True).characters == "\U000f0000\U000f0001 "


def test_lines_end_at_line_feeds_alone(tmp_path):
    (tmp_path / "keys.txt").write_bytes("\ufeffa\r\n\u2028\r\n\u3000\r\n".encode())
    told = onnxfile.Settings(characters=str(tmp_path / "keys.txt"))
    assert onnxfile.listed(told, None) == ["a", "\u2028", "\u3000"]


WRONG = {
    "short list": ({"characters": "abc"}, [], BadData, "answers 11 classes; .*gives 3 characters, .* 4$"),
    "space": ({"characters": LETTERS[:9]}, [], BadData, "may be the space: space=true"),
    "times first": ({"ending": "times first"}, [], BadData, r"12x3x11 for 3 images; needed is float32"),
    "no list": ({"characters": ""}, [], BadSettings, "names no characters itself"),
    "grey": ({}, ["image.channels=grey"], BadSettings, "takes channels 3.*image.channels=rgb or bgr"),
    "high": ({}, ["image.height=33"], BadData, "does not run on bgr 33x48 images"),
    "leaky": ({}, ["leaky_relu=true"], BadSettings, "format=onnx takes no leaky_relu"),
    "nothing": ({}, ["characters=none.txt"], BadData, "none.txt: No such file"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_does_not_fit_is_refused_and_nothing_is_written(bring, tmp_path, case):
    how, more, error, message = WRONG[case]
    with pytest.raises(error, match=message):
        bring(*more, **how)
    assert not (tmp_path / "m").exists()


@pytest.mark.parametrize("content", [b"hello", b"", None])
def test_a_file_that_is_no_model_is_named(tmp_path, content):
    if content is not None:
        (tmp_path / "rec.onnx").write_bytes(content)
    with pytest.raises(BadData, match=r"rec\.onnx: (not an ONNX model|No such file)"):
        checkpoint.main(["format=onnx", f"weights={tmp_path / 'rec.onnx'}", f"out={tmp_path / 'm'}"])


def test_settings_of_the_other_format_are_refused():
    with pytest.raises(BadSettings, match="format=crnn_pytorch takes no space"):
        checkpoint.main(["weights=w.pt", "out=m", "space=true"])


def test_an_import_measures_what_it_brings_in(bring, words, tmp_path, capsys):
    loaded = bring(f"data.root={words}", "data.split=val")
    assert loaded.config["metrics"]["n"] == 32
    assert loaded.config["measured"]["split"] == "val"
    assert len(loaded.config["measured"]["digest"]) == 64
    assert "32 words" in capsys.readouterr().out
    with pytest.raises(BadSettings, match="measured on val or test"):
        bring(f"data.root={words}", "data.split=train")


def test_evaluation_and_prediction_take_it_for_any_model(bring, words, tmp_path, capsys):
    bring()
    evaluation.main([f"checkpoint={tmp_path / 'm'}", f"data.root={words}", "json=true"])
    figures = json.loads(capsys.readouterr().out.splitlines()[-1])["models"][str(tmp_path / "m")]
    assert figures["n"] == 32
    assert figures["params"] == 0
    predict.main([str(tmp_path / "m"), str(words / "test"), "limit=3", "json=true"])
    assert len(json.loads(capsys.readouterr().out.splitlines()[-1])["readings"]) == 3


def test_a_run_that_would_train_one_is_refused(words):
    with pytest.raises(BadSettings, match="model=onnx: such a model answers only"):
        starting.build(config.read(workbench.Settings, "teacher", ["model=onnx", f"data.root={words}"]))
    with pytest.raises(BadSettings, match="imported, not built"):
        member.Model(member.Settings(), ImageSpec(), 37)


def test_an_answer_depends_neither_on_the_batch_nor_on_the_memory_format_nor_on_a_copy(bring):
    model, images = bring().model, torch.randn(5, 3, 16, 48)
    together = model(images).logits
    alone = torch.cat([model(images[i : i + 1]).logits for i in range(5)])
    assert torch.allclose(alone, together, atol=1e-5)
    assert torch.equal(model(images.to(memory_format=torch.channels_last)).logits, together)
    assert torch.equal(copy.deepcopy(model)(images).logits, together)


def test_the_member_leaves_the_name_of_the_package_alone():
    assert importlib.util.find_spec("onnx").origin == onnx.__file__
