"""A teacher that is not what its card says is found out before it teaches."""

import pytest
import torch

from distill import student
from shards.errors import BadSettings, GateFailed
from shards.image import ImageSpec
from shards.read import Shards
from train import modelfolder
from train.models import crnn
from train.tasks import recognise

pytestmark = pytest.mark.slow


def card(folder, accuracy: float, digest: str):
    """A random recogniser whose card claims an accuracy on some data."""
    torch.manual_seed(0)
    task = recognise.Task(recognise.Settings("36"), ImageSpec())
    settings = crnn.Settings(channels=[4, 4, 8, 8, 8, 8, 8], map_to_seq=8, rnn_hidden=8)
    model = crnn.Model(settings, task.image, task.channels)
    told = {"metrics": {"word_acc": accuracy}, "measured": {"split": "val", "digest": digest}}
    modelfolder.save(folder, model, task, model_name="crnn", task_name="recognise", extra=told)
    return folder


@pytest.fixture
def train(words, tiny, tmp_path):
    """train(*more) runs a student for an epoch."""

    def run(*more):
        argv = [f"data.root={words}", f"run.root={tmp_path}", "run.name=s", *tiny, "fit.epochs=1"]
        student.main([*argv, "fit.batch=32", "method=logits", *more])

    return run


def test_a_teacher_worse_than_its_card_stops_the_run(train, words, tmp_path):
    liar = card(tmp_path / "liar", 0.6, Shards([words], "val").digest)
    with pytest.raises(GateFailed, match=r"word_acc is 0.0000 on .* samples, its card says 0.6000"):
        train(f"teacher={liar}")
    assert not (tmp_path / "s" / "best").exists()


def test_a_teacher_as_good_as_its_card_teaches(train, words, tmp_path, capsys):
    train(f"teacher={card(tmp_path / 'honest', 0.0, Shards([words], 'val').digest)}")
    assert "word_acc is 0.0000 on the validation samples, as its card says" in capsys.readouterr().out


def test_a_card_of_other_data_is_taken_at_its_word(train, tmp_path, capsys):
    train(f"teacher={card(tmp_path / 'far', 0.9, 'f' * 64)}")
    assert "was measured on other data" in capsys.readouterr().out


def test_a_students_own_card_says_what_it_was_measured_on(train, words, tmp_path):
    train(f"teacher={card(tmp_path / 't', 0.0, 'f' * 64)}")
    found = modelfolder.load(tmp_path / "s" / "best").config
    assert found["measured"] == {"split": "val", "digest": Shards([words], "val").digest}


def test_a_student_above_the_limit_is_refused_before_anything_is_written(train, tmp_path):
    with pytest.raises(BadSettings, match=r"limit.mb=0.001: .* parameters take .* bytes in int8"):
        train(f"teacher={card(tmp_path / 't', 0.0, 'f' * 64)}", "limit.mb=0.001", "dry_run=true")
    assert not (tmp_path / "s").exists()
