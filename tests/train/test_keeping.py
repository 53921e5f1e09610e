"""An evaluation writes what it found on the cards it was asked for, and on no others."""

import hashlib
import json

import pytest

from ingest import shard
from shards.errors import BadSettings
from tests.train.served import small_detector
from tests.train.test_verdicts import run_folder
from train import evaluation, mistakes, modelfolder, spotting
from train.predict import PRETRAINED


def evaluate(words, path, *more):
    evaluation.main([f"checkpoint={path}", f"data.root={words}", "data.threads=1", *more])


def evaluated_of(folder):
    return json.loads((folder / "config.json").read_text())["evaluated"]


def test_a_card_tells_of_an_evaluation_beside_the_earlier_ones(words, tmp_path):
    student, control = (run_folder(tmp_path / name, seed) for seed, name in enumerate(("s", "s-control")))
    before, weights = (control / "README.md").read_bytes(), modelfolder.weights_digest(student)
    evaluate(words, student, "card=true", "by=length")
    evaluate(words, student, "card=true", "data.split=val", "protocol=36")
    told = evaluated_of(student)
    assert set(told) == {"rendered-test", "rendered-val-36"}
    one = told["rendered-test"]
    (kept,) = [
        json.loads(path.read_text()) for path in (student.parent / "eval").glob("rendered-test-best.json")
    ]
    assert one["figures"]["word_acc"] == kept["word_acc"]
    assert (one["n"], one["data"], one["split"]) == (32, kept["data"], "test")
    assert one["verdict"]["against"] == "s-control/best"
    assert one["verdict"]["difference"] == kept["difference"]
    card = (student / "README.md").read_text()
    assert "- rendered-test: " in card
    assert "rendered-val-36" in card
    assert str(tmp_path) not in card + (student / "config.json").read_text()
    assert (control / "README.md").read_bytes() == before
    assert modelfolder.weights_digest(student) == weights


def test_an_evaluation_that_began_earlier_drops_none_that_ended_meanwhile(words, tmp_path, monkeypatch):
    student, verdicts = run_folder(tmp_path / "s"), evaluation.verdicts

    def meanwhile(*judged):
        monkeypatch.setattr(evaluation, "verdicts", verdicts)
        evaluate(words, student, "card=true", "protocol=36")
        return verdicts(*judged)

    monkeypatch.setattr(evaluation, "verdicts", meanwhile)
    evaluate(words, student, "card=true")
    told = evaluated_of(student)
    assert set(told) == {"rendered-test", "rendered-test-36"}


def test_a_card_tells_words_by_length_and_characters_confused_with_others(words, tmp_path, monkeypatch):
    lengths = [(3, 9, 1), (4, 9, 8)]
    confusions = [("a", "a", 90), ("o", "0", 7), ("l", "", 2)]
    monkeypatch.setattr(mistakes, "by_length", lambda *_: lengths)
    monkeypatch.setattr(mistakes, "confusions", lambda *_: confusions)
    student = run_folder(tmp_path / "s")
    evaluate(words, student, "card=true")
    one = evaluated_of(student)["rendered-test"]
    assert one["weak"] == {"length": [["3", 9, 1]]}
    assert one["confusions"] == [["o", "0", 7], ["l", "", 2]]
    card = (student / "README.md").read_text()
    assert "- rendered-test, right by length, the worst: 3: 1 of 9" in card
    assert "- rendered-test, characters confused: o as 0 (7), l as ∅ (2)" in card


def test_without_being_asked_an_evaluation_leaves_the_model_as_it_is(words, tmp_path):
    student = run_folder(tmp_path / "s")
    before = {path.name: path.read_bytes() for path in student.iterdir()}
    evaluate(words, student)
    assert {path.name: path.read_bytes() for path in student.iterdir()} == before


def test_the_same_evaluation_writes_the_same_card(words, tmp_path):
    cards = []
    for name in ("a", "b"):
        student = run_folder(tmp_path / name / "s")
        evaluate(words, student, "card=true", "latency=true")
        cards.append([(student / file).read_bytes() for file in ("README.md", "config.json", "sha256sums")])
    assert cards[0] == cards[1]


def test_a_file_has_no_card_to_write_on(words, tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"")
    with pytest.raises(BadSettings, match=r"card=true: .*model.onnx is a file"):
        evaluate(words, tmp_path / "model.onnx", "card=true")


@pytest.fixture
def scenes(tmp_path):
    shard.main([
        "source=rendered", f"out={tmp_path / 'scenes'}", "split=test", "count=4", "level=scenes",
        "scene_width=320", "scene_height=320", "min_word_height=.05", "max_words=6",
    ])  # fmt: skip
    return tmp_path / "scenes"


def test_the_card_of_a_detector_tells_how_well_it_finds_and_who_read_the_words(scenes, tmp_path):
    finder, weights = small_detector(tmp_path / "finder"), modelfolder.weights_digest(PRETRAINED)
    evaluate(scenes, finder, "card=true", f"recogniser={PRETRAINED}", "latency=true")
    name, told = f"rendered-test-read-by-pretrained-words-{weights[:6]}", evaluated_of(finder)
    assert set(told) == {name}
    assert told[name]["recogniser"] == {"name": "pretrained/words", "weights": weights}
    assert {"hmean", "precision", "recall", "end_to_end"} <= set(told[name]["figures"])
    assert not any("ms" in figure.split("_") for figure in told[name]["figures"])
    evaluate(scenes, finder, "card=true")
    assert evaluated_of(finder).keys() == {name, "rendered-test"}
    assert evaluated_of(finder)[name] == told[name]
    card = (finder / "README.md").read_text()
    assert "pipeline_tag: object-detection" in card
    assert "| rendered-test | 4 | native | H-mean, % | " in card
    assert f"- {name}: read by `pretrained/words`, its weights' sha256 `{weights}`" in card


def test_the_weights_of_an_exported_recogniser_are_those_of_all_its_files(tmp_path):
    for suffix, data in ((".xml", b"a"), (".bin", b"b")):
        (tmp_path / "model").with_suffix(suffix).write_bytes(data)
    said = spotting.identity(str(tmp_path / "model.xml"))
    assert said == {"name": f"{tmp_path.name}/model.xml", "weights": hashlib.sha256(b"ab").hexdigest()}
