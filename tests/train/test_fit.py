"""The loop: when it evaluates, what it keeps, why it ends, what it does with bad samples and gradients."""

import json
import math
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from shards.errors import BadData, BadSettings, GateFailed
from train import clock, fit, modelfolder
from train.runfolder import read_metrics
from train.steps import TaskStep

pytestmark = pytest.mark.slow


class Still(TaskStep):
    """A step without batch statistics, so that a batch is no more than its samples."""

    def forward(self, batch):
        for module in self.model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        return super().forward(batch)


def lines(run, key):
    return [(line["global_step"], line[key]) for line in read_metrics(run) if key in line]


def status(run):
    return json.loads((run / "status.json").read_text())


def same(batch):
    return batch


def spoiling(value, first, last):
    """A teach function that puts a value into the images of global steps first .. last."""

    def teach(batch):
        if first <= batch.epoch * 6 + batch.step <= last:
            return replace(batch, images=torch.full_like(batch.images, value))
        return batch

    return teach


@pytest.mark.parametrize(
    "bad",
    [
        {"epochs": 0}, {"batch": 0}, {"accumulation": 0}, {"eval_every": 0}, {"log_every": 0}, {"clip": -1.0},
        {"patience": -1}, {"save_every": -1}, {"ema": 1.0},
    ],
)  # fmt: skip
def test_settings_that_cannot_be_are_refused(bad):
    with pytest.raises(BadSettings, match=f"fit.{next(iter(bad))}"):
        fit.Settings(**bad)


def test_it_evaluates_at_step_0_each_so_many_epochs_and_at_the_end_and_keeps_best_and_last(train, tmp_path):
    result = train("one", "fit.epochs=3", "fit.eval_every=2")
    evaluations = lines(tmp_path / "one", "val/cer")
    assert [step for step, _ in evaluations] == [0, 12, 18]
    best = min(value for _, value in evaluations)
    assert result["best"] == best
    assert dict(evaluations)[result["best_step"]] == best
    assert result["best_step"] > 0
    for name, value in (("best", best), ("last", evaluations[-1][1])):
        config = modelfolder.load(tmp_path / "one" / name).config
        assert config["metrics"]["cer"] == value
        assert set(config) >= {"decoder", "data", "augment", "seed", "code"}
    assert lines(tmp_path / "one", "data/unencodable") == [(0, 0)]  # the census, once
    assert [step for step, _ in lines(tmp_path / "one", "train/loss")] == list(range(1, 19))
    told = status(tmp_path / "one")
    assert (told["state"], told["code"], told["reason"]) == ("done", 0, "all epochs done")


def test_accumulation_changes_no_loss_where_there_are_no_batch_statistics(train, tmp_path):
    for count in (1, 2, 3):
        train(f"by{count}", f"fit.accumulation={count}", wrap=Still)
    whole = lines(tmp_path / "by1", "train/loss")
    for count in (2, 3):
        found = lines(tmp_path / f"by{count}", "train/loss")
        assert [v for _, v in found] == pytest.approx([v for _, v in whole], rel=1e-5)
    assert whole[-1][1] < whole[0][1]


def test_more_micro_batches_than_samples_of_a_process_are_refused(train):
    with pytest.raises(BadSettings, match=r"fit\.accumulation: 17"):
        train("one", "fit.accumulation=17")


def test_bf16_runs_and_stays_near_fp32(train, tmp_path):
    train("bf16", "fit.precision=bf16", "fit.epochs=1")
    train("fp32", "fit.epochs=1")
    found, wanted = (lines(tmp_path / name, "train/loss") for name in ("bf16", "fp32"))
    assert all(math.isfinite(v) for _, v in found)
    assert found[0][1] == pytest.approx(wanted[0][1], rel=0.02)
    assert found != wanted
    loaded = modelfolder.load(tmp_path / "bf16" / "last").model
    assert {p.dtype for p in loaded.parameters()} == {torch.float32}


def test_it_stops_early_when_nothing_gets_better(train, tmp_path):
    train("one", "fit.epochs=9", "fit.patience=2", "optim.lr=1e-12", "fit.select=word_acc")
    assert [step for step, _ in lines(tmp_path / "one", "val/word_acc")] == [0, 6, 12]
    assert status(tmp_path / "one")["reason"] == "no better evaluation for 2 evaluations"


@pytest.mark.parametrize(
    ("select", "goal", "at"), [("cer", 1.0, 6), ("one_minus_ned", 1.0, 12), ("cer", 0.1, 12)]
)
def test_a_goal_is_reached_from_the_worse_side(train, select, goal, at):
    result = train("one", f"fit.goal={goal}", f"fit.select={select}")
    assert result["global_step"] == at
    assert (f"{select} has reached {goal:g}" == result["ending"]) == (at == 6)


def test_patience_is_with_what_gets_no_better_where_lower_is_better(train, tmp_path):
    train("one", "fit.epochs=9", "fit.patience=2")
    values = [value for _, value in lines(tmp_path / "one", "val/cer")]
    assert values[1] < values[0]
    assert len(values) == 4


def test_a_time_limit_ends_with_an_evaluation_and_a_longer_one_goes_on(train, tmp_path, monkeypatch):
    now = [0.0]
    monkeypatch.setattr(clock, "time", SimpleNamespace(monotonic=lambda: now[0]))

    def slow(batch):
        now[0] += 10
        return batch

    train("cut", "time_limit=75s", teach=slow)
    assert [step for step, _ in lines(tmp_path / "cut", "val/word_acc")] == [0, 6, 8]
    told = status(tmp_path / "cut")
    assert (told["state"], told["code"], told["global_step"]) == ("done", 0, 8)
    assert told["reason"] == "time limit 75s reached"
    train("cut", "time_limit=75s", teach=slow)
    assert status(tmp_path / "cut")["global_step"] == 8
    train("cut", "time_limit=95s", teach=slow)  # the time of all sessions counts
    assert status(tmp_path / "cut")["global_step"] == 10
    train("cut", teach=slow)
    train("whole")
    assert lines(tmp_path / "cut", "train/loss") == lines(tmp_path / "whole", "train/loss")
    assert status(tmp_path / "cut")["reason"] == "all epochs done"


def test_a_time_limit_that_is_none_is_refused_before_anything_is_written(train, tmp_path):
    with pytest.raises(BadSettings, match="time_limit: 'soon'"):
        train("one", "time_limit=soon")
    assert not (tmp_path / "one").exists()


def test_a_step_with_a_gradient_that_is_not_finite_is_skipped_counted_and_its_samples_named(train, tmp_path):
    result = train("one", "fit.ema=0.5", teach=spoiling(math.nan, 2, 3))
    assert result["nonfinite"] == 2
    dumped = [json.loads(line) for line in (tmp_path / "one" / "nonfinite.jsonl").read_text().splitlines()]
    assert [(d["global_step"], len(d["uids"])) for d in dumped] == [(3, 16), (4, 16)]
    assert [v for _, v in lines(tmp_path / "one", "train/loss")][2:4] == [None, None]
    assert all(v is not None for _, v in lines(tmp_path / "one", "train/loss")[4:])
    for name in ("best", "last"):
        tensors = modelfolder.load(tmp_path / "one" / name).model.state_dict().values()
        assert all(bool(torch.isfinite(t.float()).all()) for t in tensors)


def test_ten_of_them_in_a_row_end_the_run_with_code_4(train, tmp_path):
    with pytest.raises(GateFailed, match="10 steps in a row"):
        train("one", "fit.epochs=3", "fit.eval_every=3", teach=spoiling(math.inf, 6, 99))
    told = status(tmp_path / "one")
    assert (told["state"], told["code"]) == ("failed", 4)
    train("one", "fit.epochs=3", "fit.eval_every=3")  # the same command, once the cause is gone
    train("whole", "fit.epochs=3", "fit.eval_every=3")
    assert lines(tmp_path / "one", "train/loss") == lines(tmp_path / "whole", "train/loss")
    assert (tmp_path / "one" / "nonfinite.jsonl").read_bytes() == b""


def test_a_skipped_step_that_is_taken_again_is_named_once(train, tmp_path):
    def breaking(batch):
        if batch.epoch * 6 + batch.step == 8:
            raise RuntimeError("power cut")
        return spoiling(math.nan, 6, 6)(batch)

    with pytest.raises(RuntimeError, match="power cut"):
        train("one", teach=breaking)
    train("one", teach=spoiling(math.nan, 6, 6))  # from the state of step 6 on
    dumped = [json.loads(line) for line in (tmp_path / "one" / "nonfinite.jsonl").read_text().splitlines()]
    assert [line["global_step"] for line in dumped] == [7]


def test_a_metric_that_is_not_there_is_refused_and_the_corrected_command_runs(train, tmp_path):
    with pytest.raises(BadSettings, match=r"no 'accuracy'.*word_acc"):
        train("one", "fit.select=accuracy")
    assert status(tmp_path / "one")["code"] == 2
    train("one", "fit.epochs=1")


def damage(words, tmp_path) -> str:
    """Breaks a training and a validation sample of a copy; returns the uid of the first."""
    from shards.read import Shards

    shutil.copytree(words, tmp_path / "w")
    for split, position in (("train", 5), ("val", 3)):
        row = Shards([words], split)._open[0].columns[position]
        tar = tmp_path / "w" / split / "000000.tar"
        data = bytearray(tar.read_bytes())
        data[row.image_offset + 30] ^= 255
        tar.write_bytes(data)
    return f"{int(Shards([words], 'train').uids[5]):016x}"


def test_damaged_samples_are_left_out_named_and_counted(train, words, tmp_path):
    uid = damage(words, tmp_path)
    result = train("one", data=tmp_path / "w")
    named = [json.loads(line) for line in (tmp_path / "one" / "damaged.jsonl").read_text().splitlines()]
    assert [list(line["samples"]) for line in named] == [[uid], [uid]]  # once an epoch
    assert uid in named[0]["samples"][uid]
    assert result["damaged"] == 2
    assert lines(tmp_path / "one", "val/damaged")[-1][1] == 1
    assert lines(tmp_path / "one", "val/n")[-1][1] == 32


def test_a_damaged_sample_ends_the_run_where_that_is_asked_and_skipping_goes_on(train, words, tmp_path):
    uid = damage(words, tmp_path)
    with pytest.raises(BadData, match=rf"step \d: .*{uid} is damaged; data\.on_damage=skip"):
        train("one", "data.on_damage=fail", data=tmp_path / "w")
    found = status(tmp_path / "one")
    assert (found["state"], found["code"]) == ("failed", 3)
    assert uid in found["reason"]
    assert lines(tmp_path / "one", "val/damaged")[0][1] == 1  # evaluation counts whatever the setting
    assert train("one", "data.on_damage=skip", data=tmp_path / "w")["damaged"] == 2
