"""overfit=N: a few samples by heart, or the name of the stage that fails."""

import json

import pytest

from shards.errors import BadSettings, GateFailed
from train import overfit, teacher
from train.runfolder import read_metrics

SMALL = ["model=crnn", "model.channels=8,8,16,16,16,16,32", "model.map_to_seq=16", "model.rnn_hidden=24"]


@pytest.fixture
def learn(words, tmp_path, forget_accelerate):
    def run(*more):
        forget_accelerate()
        teacher.main([f"data.root={words}", f"run.root={tmp_path}", *SMALL, *more])

    return run


@pytest.mark.slow
def test_a_few_samples_are_learnt_by_heart_and_the_run_stops_there(learn, tmp_path, capsys):
    learn("overfit=8", "optim.lr=.003", "json=true", "augment=strong")
    out = capsys.readouterr().out
    assert "overfit: all 8 samples are read after" in out
    told = json.loads(out.splitlines()[-1])
    assert told["ending"] == "word_acc has reached 1"
    assert told["global_step"] < overfit.STEPS
    counts = [line["val/n"] for line in read_metrics(tmp_path / "overfit-8") if "val/n" in line]
    assert set(counts) == {8.0}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["image.width=8"], "labels: [0-9]+ infeasible of 8 samples .*image.width="),
        (["task.characters=ab"], "labels: [0-9]+ unencodable of 8 samples .*task.charset=data"),
    ],
)
def test_labels_that_can_never_be_read_are_refused_before_the_first_step(learn, more, said, tmp_path):
    with pytest.raises(GateFailed, match=f"overfit: {said}"):
        learn("overfit=8", "data.share=.1", *more)
    told = json.loads((tmp_path / "overfit-8" / "status.json").read_text())
    assert (told["state"], told["code"]) == ("failed", 4)
    assert not read_metrics(tmp_path / "overfit-8")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["optim.lr=1e-9"], "10 steps; (learning|blanks): the loss went from"),
        (["optim.lr=1e-9", "fit.select=cer"], "10 steps; (learning|blanks): the loss went from"),
        (["time_limit=0s"], "0 steps; time: time_limit= ended it"),
    ],
)
def test_what_fails_is_named(learn, more, said, monkeypatch, tmp_path):
    monkeypatch.setattr(overfit, "STEPS", 10)
    with pytest.raises(GateFailed, match=f"overfit: 0.0% of 8 after {said}"):
        learn("overfit=8", "data.share=.1", *more)
    told = json.loads((tmp_path / "overfit-8" / "status.json").read_text())
    assert (told["state"], told["code"]) == ("failed", 4)


def test_more_samples_than_there_are_are_refused(learn):
    with pytest.raises(BadSettings, match="overfit=1000: there are 96 samples"):
        learn("overfit=1000")


def test_every_stage_has_its_sentence():
    def stage(first, last, **more):
        lines = [
            {"train/loss": first},
            {"train/loss": last, **{k.replace("__", "/"): v for k, v in more.items()}},
        ]
        return overfit._stage(lines)[0]

    assert stage(20, 19) == "learning"
    assert stage(20, 8) == "learning"
    assert stage(20, 0.1) == "reading"
    assert stage(20, 4, train__blank_rate=1.0) == "blanks"
    assert stage(20, 4, ctc__nonfinite=3) == "gradients"
    assert stage(None, None, ctc__nonfinite=3) == "gradients"
