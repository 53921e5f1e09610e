"""Two students through the house: without a teacher, beside one, stopped and resumed, on two processes."""

import json
import os
import signal

import pytest
from accelerate.state import AcceleratorState, GradientState, PartialState

from distill import student
from distill.teachers import NoTeacher
from ingest import shard
from shards.errors import BadSettings, Preempted
from tests.distill.test_processes import LAUNCH, TWO, trace, trained
from train import modelfolder, teacher
from train.runfolder import read_metrics

pytestmark = pytest.mark.slow
SHORT = [
    "fit.epochs=2",
    "fit.batch=32",
    "fit.log_every=1",
    "optim.lr=1e-3",
    "method=mutual",
    "control=pair-control",
]
CANVAS = ["image.height=64", "image.width=96", "image.channels=rgb", "image.fit=letterbox"]
DB = ["model.channels=[4,4,8,8]", "model.blocks=1", "model.neck=8", "fit.batch=8", "fit.log_every=1"]


@pytest.fixture
def train(words, tiny, tmp_path):
    """train(name, *more) -> the run folder of a student without a teacher."""

    def forget():
        for state in (AcceleratorState, GradientState, PartialState):
            state._reset_state()  # of runs in another precision

    def run(name, *more):
        forget()
        student.main([f"data.root={words}", f"run.root={tmp_path}", f"run.name={name}", *tiny, *SHORT, *more])
        return tmp_path / name

    yield run
    forget()


def losses(run) -> list[dict]:
    return [{k: v for k, v in line.items() if k.startswith(("train/", "val/"))} for line in read_metrics(run)]


def kept(run) -> dict[str, bytes]:
    return {f"{f}/{p.name}": p.read_bytes() for f in ("best", "last") for p in (run / f).iterdir()}


def test_mutual_learning_needs_no_teacher_and_keeps_one_plain_student(train, teacher, tmp_path, capsys):
    run = train("pair", "json=true")
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["next"].endswith("run.name=pair-control")
    found, plain = modelfolder.load(run / "best"), modelfolder.load(teacher)
    assert [n for n, _ in found.model.named_parameters()] == [n for n, _ in plain.model.named_parameters()]
    assert "teacher" not in found.config
    control = train("pair-control", "method=none")
    both, alone = ([line for line in losses(one) if "train/task" in line] for one in (run, control))
    assert both[0]["train/task"] == alone[0]["train/task"]  # neither weights nor batch are others at first
    assert all(line["train/peer1/task"] > 0 for line in both)
    assert all(line["train/grad/mutual"] > 0 for line in both)


@pytest.mark.parametrize("more", [[], ["fit.ema=.9", "model.dropout=.3"], ["fit.precision=bf16"]])
def test_a_stopped_pair_goes_on_as_if_it_had_not_been(train, monkeypatch, more):
    whole = train("whole", *more)
    left, plain = {(0, 1), (1, 1)}, NoTeacher.__call__

    def stopping(self, batch):
        if (batch.epoch, batch.step) in left:
            left.remove((batch.epoch, batch.step))
            os.kill(os.getpid(), signal.SIGTERM)
        return plain(self, batch)

    monkeypatch.setattr(NoTeacher, "__call__", stopping)
    for _ in range(2):
        with pytest.raises(Preempted):
            train("cut", *more)
    cut = train("cut", *more)
    assert losses(cut) == losses(whole)
    assert kept(cut) == kept(whole)


def test_a_peer_that_nobody_asked_for_and_a_teacher_that_is_missing_are_refused(train, teacher):
    with pytest.raises(BadSettings, match=r"peer=.*: no method has a second student learn"):
        train("refused", f"peer={teacher}", "method=hard", f"teacher={teacher}")
    with pytest.raises(BadSettings, match=r"method=hard needs cache=DIR or teacher=MODEL"):
        train("refused", "method=[mutual,hard]", "method.hard.weight=.3", "method.mutual.weight=.3")


def test_two_processes_teach_a_pair_as_one_does(words, tiny, make_teacher, tmp_path):
    """Of models without batch norms, which would see half a batch each."""
    begin = [make_teacher(tmp_path / f"begin{seed}", seed, norms=[]) for seed in (1, 2)]
    argv = [f"data.root={words}", *tiny, *SHORT, "model.norms=[]", "optim.name=sgd", "optim.lr=1e-4"]
    argv += [f"init_from={begin[0]}", f"peer={begin[1]}"]
    one = trained(LAUNCH[:1], tmp_path / "one", *argv)
    two = trained([*LAUNCH, *TWO], tmp_path / "two", *argv)
    for term in ("loss", "mutual", "peer1/task"):
        assert trace(two, term) == pytest.approx(trace(one, term), rel=1e-4), term


def test_cml_teaches_two_detectors_of_maps_beside_a_frozen_teacher(tmp_path):
    for split, count in (("train", 24), ("val", 8)):
        shard.main(["source=rendered", "level=scenes", f"out={tmp_path / 'data'}", f"split={split}",
                    f"count={count}", "scene_width=160", "scene_height=120", "min_word_height=.2",
                    "wordless=0"])  # fmt: skip
    place = [f"data.root={tmp_path / 'data'}", f"run.root={tmp_path}"]
    teacher.main(["task=maps", "model=db_tiny", *DB, *CANVAS, *place, "fit.epochs=1", "run.name=teacher"])
    student.main(["experiment=cml", *DB, *place, f"teacher={tmp_path}/teacher/best", "run.name=pair",
                  "fit.epochs=24", "optim.lr=.01", "method.dilated.threshold=.05"])  # fmt: skip
    lines = [line for line in losses(tmp_path / "pair") if "train/loss" in line]
    for term in ("task", "dilated", "mutual", "peer1/task", "peer1/dilated", "peer1/mutual"):
        assert all(line[f"train/{term}"] > 0 for line in lines), term
    for term in ("task", "peer1/task"):
        first, last = ([line[f"train/{term}"] for line in part] for part in (lines[:3], lines[-3:]))
        assert sum(last) < 0.9 * sum(first), term
