"""Exact resume: wherever a run stopped, the same command gives the same losses and the same bytes."""

import json
import os
import shutil
import signal

import pytest

from shards.errors import BadData, Preempted
from tests.train.runs import folders
from train.runfolder import read_metrics

pytestmark = pytest.mark.slow


def trace(run) -> list[tuple]:
    """Every logged loss, norm, rate and evaluation, in the order of the file."""
    kept = ("train/", "val/", "data/", "ctc/")
    return [
        (line["global_step"], {k: v for k, v in line.items() if k.startswith(kept)})
        for line in read_metrics(run)
    ]


def stopping(*at):
    """A teach function that asks its process to stop at these (epoch, step), each once."""
    left = set(at)

    def teach(batch):
        if (batch.epoch, batch.step) in left:
            left.remove((batch.epoch, batch.step))
            os.kill(os.getpid(), signal.SIGTERM)
        return batch

    return teach


def until_done(train, name, *more, teach):
    """The same command until it ends; returns how often it was stopped."""
    for stops in range(10):
        try:
            train(name, *more, teach=teach)
            return stops
        except Preempted:
            continue
    raise AssertionError("never done")


@pytest.mark.parametrize(
    ("stops", "more"),
    [
        ([(0, 2)], []),
        ([(1, 1), (1, 3)], []),  # the second resume of one epoch
        ([(0, 5)], []),  # the last step of an epoch: saved before its evaluation, and again after it
        ([(0, 0), (0, 1), (1, 4)], ["fit.ema=0.9", "augment=light"]),
        ([(1, 2)], ["fit.accumulation=2", "fit.precision=bf16"]),
        ([(1, 2)], ["optim=sgd"]),
        ([(1, 2)], ["model.dropout=0.3", "model.stn=true"]),  # what is zeroed is drawn
    ],
)
def test_a_stopped_run_gives_the_losses_and_the_bytes_of_an_uninterrupted_one(train, tmp_path, stops, more):
    train("whole", *more)
    assert until_done(train, "cut", *more, teach=stopping(*stops)) == len(stops)
    assert trace(tmp_path / "cut") == trace(tmp_path / "whole")
    assert folders(tmp_path / "cut") == folders(tmp_path / "whole")
    assert len(list((tmp_path / "cut" / "state").iterdir())) == 1


def test_a_run_that_crashed_goes_on_from_the_last_state_it_saved(train, tmp_path):
    def crashing(batch):
        if (batch.epoch, batch.step) == (1, 4):
            raise RuntimeError("lightning")
        return batch

    train("whole")
    with pytest.raises(RuntimeError, match="lightning"):
        train("cut", "fit.save_every=4", teach=crashing)
    status = json.loads((tmp_path / "cut" / "status.json").read_text())
    assert (status["state"], status["code"]) == ("failed", 1)
    assert "lightning" in status["reason"]
    assert [p.name for p in (tmp_path / "cut" / "state").iterdir()] == ["step-0000000008"]
    train("cut", "fit.save_every=4")
    assert trace(tmp_path / "cut") == trace(tmp_path / "whole")
    assert folders(tmp_path / "cut") == folders(tmp_path / "whole")


def test_a_half_written_state_is_never_taken_for_a_whole_one(train, tmp_path):
    train("whole")
    with pytest.raises(Preempted):
        train("cut", teach=stopping((0, 3)))
    states = tmp_path / "cut" / "state"
    (whole,) = states.iterdir()
    shutil.copytree(whole, states / "step-0000000011.part")  # being written when the power went
    shutil.copytree(whole, states / "step-0000000011")  # being removed
    (states / "step-0000000011" / "position.json").unlink()
    train("cut")
    assert trace(tmp_path / "cut") == trace(tmp_path / "whole")
    assert folders(tmp_path / "cut") == folders(tmp_path / "whole")


@pytest.mark.parametrize(
    ("name", "how"),
    [
        ("optimizer.bin", "cut"),
        ("model.safetensors", "flipped"),
        ("random_states_0.pkl", "lost"),
        ("position.json", "cut"),
    ],
)
def test_a_damaged_file_of_a_state_is_refused_by_name(train, tmp_path, name, how):
    with pytest.raises(Preempted):
        train("cut", teach=stopping((0, 0)))
    (path,) = (tmp_path / "cut" / "state").glob(f"*/{name}")
    data = bytearray(path.read_bytes())
    if how == "lost":
        path.unlink()
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data if how == "flipped" else data[: len(data) // 2])
    with pytest.raises(BadData, match=rf"{name}"):
        train("cut")
    status = json.loads((tmp_path / "cut" / "status.json").read_text())
    assert (status["state"], status["code"]) == ("failed", 3)


def test_a_finished_run_run_again_is_left_as_it_is(train, tmp_path):
    first = train("whole")
    before = {
        p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in (tmp_path / "whole").rglob("*") if p.is_file()
    }
    for path in (tmp_path / "whole" / ".lock", *(tmp_path / "whole" / "logs").iterdir()):
        before.pop(path)  # a log says that it was asked again

    def never(batch):
        raise AssertionError("trained again")

    assert train("whole", teach=never) == first
    after = {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in before}
    changed = [p.name for p in before if before[p] != after[p]]
    assert changed == ["metrics.jsonl"] or not changed
