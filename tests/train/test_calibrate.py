"""Calibration: the temperature is found again, the readings stay, the folder stays whole."""

import json
import shutil

import numpy as np
import pytest
import torch

from shards import manifest
from shards.config import Choice
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train import calibrate, modelfolder, sealed
from train.calibrate import TEMPERATURES
from train.decoders import beam
from train.metrics import ece
from train.models import Output
from train.predict import PRETRAINED
from train.sealed import SUMS
from train.tasks.recognise import Settings, Task

CALIBRATED = {"temperature": 2.5, "decoder": "greedy"}


def test_the_temperature_with_which_right_and_wrong_were_drawn_is_found():
    draw = np.random.default_rng(0)
    odds = draw.normal(1, 2, 20_000)
    sure = np.stack([1 / (1 + np.exp(-odds / t)) for t in TEMPERATURES], 1)
    true = 1 / (1 + np.exp(-odds / 2.5))
    right = draw.random(20_000) < true
    best = calibrate.fit(right, sure)
    assert TEMPERATURES[best] == pytest.approx(2.5, rel=0.06)
    assert ece(right, sure[:, best]) < 0.02 < ece(right, sure[:, TEMPERATURES.index(1.0)])


@pytest.mark.parametrize("right", [[True, True], [False, False]])
def test_only_right_or_only_wrong_words_are_refused(right):
    with pytest.raises(BadData, match="of 2 words are read right"):
        calibrate.fit(np.array(right), np.full((2, len(TEMPERATURES)), 0.5))


def test_the_calibration_error_by_hand():
    right, sure = np.array([1, 0, 1, 1], bool), np.array([0.95, 0.95, 0.5, 1.0])
    # bins of 1/15: .95 twice and 1.0 stand together in the last (2.9 sure, 2 right); .5 alone
    assert ece(right, sure) == pytest.approx((abs(2.9 - 2) + abs(0.5 - 1)) / 4)
    assert ece(np.array([], bool), np.array([])) == 0.0


@pytest.fixture
def folder(tmp_path):
    shutil.copytree(PRETRAINED, tmp_path / "m")
    return tmp_path / "m"


def test_it_is_kept_in_the_folder_and_applied_to_confidences_alone(words, folder, capsys):
    before = modelfolder.load(folder)
    calibrate.main([f"checkpoint={folder}", f"data.root={words}", "data.threads=1", "json=true"])
    said = json.loads(capsys.readouterr().out.splitlines()[-1])["calibration"]
    after = modelfolder.load(folder)
    assert after.config["calibration"] == said
    assert {"n": 32, "split": "val", "decoder": "greedy"}.items() <= said.items()
    others = set(before.config)
    assert all(after.config[name] == before.config[name] for name in others)
    assert modelfolder.weights_digest(folder) == modelfolder.weights_digest(PRETRAINED)
    assert f"- temperature: {said['temperature']}" in (folder / "README.md").read_text()
    assert sealed.read(folder, ("config.json", "README.md"))[0] == folder
    assert (folder / SUMS).exists()
    assert modelfolder.load(folder, decoder=Choice("beam", beam.Settings())).task._temperature == 1.0
    output = Output(torch.randn(8, 26, 37) * 2)
    plain, scaled = (one.task.decode(output) for one in (before, after))
    assert [w[0].text for w in plain] == [w[0].text for w in scaled]
    assert said["temperature"] == 1.0 or [w[0].score for w in plain] != [w[0].score for w in scaled]


def test_what_comes_next_is_an_evaluation_only_where_the_sets_have_something_to_evaluate_on(
    words, folder, tmp_path, capsys
):
    shutil.copytree(words / "val", tmp_path / "own" / "val")
    for root, known in ((words, True), (tmp_path / "own", False)):
        calibrate.main([f"checkpoint={folder}", f"data.root={root}", "data.threads=1", "json=true"])
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert f"train.evaluation checkpoint={folder} data.root={root}" in told["next"] or not known
        assert bool(told["next"]) is known


def test_words_the_model_was_trained_on_are_told(words, folder, capsys):
    key = manifest.load(words / "val").key
    for data, known in (({key: {"split": "val"}}, [key]), ({"other-train-000000": {}}, [])):
        modelfolder.amend(folder, lambda _, data=data: {"data": data})
        calibrate.main([f"checkpoint={folder}", f"data.root={words}", "data.threads=1"])
        assert (f"{key}: the model was trained on" in capsys.readouterr().out) is bool(known)
        assert modelfolder.load(folder).config["calibration"]["trained_on"] == known


def test_a_temperature_that_cannot_be_is_refused(folder):
    modelfolder.amend(folder, lambda _: {"calibration": {"temperature": -1.0}})
    with pytest.raises(BadData, match=r"calibration\.temperature: -1\.0"):
        modelfolder.load(folder)


def test_what_is_missing_is_named(words):
    with pytest.raises(BadSettings, match="checkpoint= is required"):
        calibrate.main([f"data.root={words}"])
    with pytest.raises(BadData, match="/no/model"):
        calibrate.main(["checkpoint=/no/model", f"data.root={words}"])


def test_unlabelled_and_unspellable_words_are_no_trials_and_wrong_ones():
    from shards.sample import Record, Word

    task = Task(Settings(), ImageSpec())
    records = [Record(words, (1, 1), "") for words in ((Word("A"),), (Word(None),), (Word("é"),))]
    logits = torch.zeros(3, 4, 37)
    logits[:, :, 11] = 5  # a
    right, sure = task.trials(Output(logits), records, (1.0, 2.0))
    assert right.tolist() == [True, False]
    assert sure.shape == (2, 2)
    assert (sure[:, 0] > sure[:, 1]).all()


def test_the_split_that_is_reported_is_not_fitted_on(folder):
    with pytest.raises(BadSettings, match=r"data\.split=test is what is reported"):
        calibrate.main([f"checkpoint={folder}", "data.root=x", "data.split=test"])


def test_a_model_made_from_a_calibrated_one_begins_without_its_temperature(train, tmp_path):
    train("old", "fit.epochs=1")
    for name in ("best", "last"):
        modelfolder.amend(tmp_path / "old" / name, lambda _: {"calibration": CALIBRATED})
    assert modelfolder.load(tmp_path / "old/best").task._temperature == 2.5
    train("new", "fit.epochs=1", f"init_from={tmp_path / 'old/best'}")
    for name in ("best", "last"):
        made = modelfolder.load(tmp_path / "new" / name)
        assert "calibration" not in made.config
        assert made.task._temperature == 1.0
