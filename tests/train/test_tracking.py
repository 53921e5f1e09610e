"""Trackers: mirrors of metrics.jsonl, one run for all restarts, rebuilt from the run folder."""

import importlib.util
import json
import runpy
import shutil
import sys
from pathlib import Path

import pytest

from shards.errors import BadData, BadSettings
from tests.train.mirrored import files, history, logged, mirrored, offline, scalars
from train import runfolder, tracking
from train.runfolder import read_metrics
from train.trackers import none
from train.trackers import wandb as member

DASHBOARD = Path(__file__).resolve().parents[2] / "infra" / "dashboards" / "workspace.py"
needs_wandb = pytest.mark.skipif(not importlib.util.find_spec("wandb"), reason="wandb is not installed")
needs_tensorboard = pytest.mark.skipif(
    not importlib.util.find_spec("tensorboard"), reason="tensorboard is not installed"
)


@pytest.fixture(autouse=True)
def _no_key(monkeypatch, tmp_path):
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR", "WANDB_RUN_ID", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("WANDB_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("WANDB_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("WANDB_DATA_DIR", str(tmp_path / "staging"))


class Killed(BaseException):
    pass


@needs_wandb
def test_wandb_mirrors_metrics_offline_without_a_key_and_pushes_them_anew(train, tmp_path):
    train("one", "tracking=wandb", "tracking.project=words", "tracking.tags=[a,b]", "fit.epochs=1")
    run = tmp_path / "one"
    for prefix in ("train/", "val/", "perf/"):
        assert mirrored(run, prefix) == logged(run, prefix)
    tables = [row for row in history(run) if row.get("mistakes._type") == "table-file"]
    assert [(table["global_step"], table["mistakes.nrows"]) for table in tables] == [(0, 32), (6, 32)]
    assert all((files(run) / table["mistakes.path"]).exists() for table in tables)
    assert all(table["confusion._type"] == "image-file" for table in tables)
    begun = [record.run for record in offline(run) if record.WhichOneof("record_type") == "run"]
    assert {(r.project, r.run_id, tuple(r.tags)) for r in begun} == {
        ("words", json.loads((run / "tracking.json").read_text())["id"], ("a", "b"))
    }
    shown = runpy.run_path(str(DASHBOARD))["keys"]()
    there = {key.removesuffix("._type") for row in history(run) for key in row}
    assert set(shown) <= there, "the dashboard shows what no run logs"
    known = len(history(run))
    tracking.main(["push", str(run), "tracking.project=again"])
    pushed = history(run)[known:]
    assert [row["global_step"] for row in pushed if "train/loss" in row] == [1, 2, 3, 4, 5, 6]
    assert [row["val/cer"] for row in pushed if "val/cer" in row] == [
        v["val/cer"] for _, v in logged(run, "val/")
    ]


@needs_wandb
def test_restarts_go_on_with_one_run_and_tell_nothing_twice(train, tmp_path, monkeypatch):
    more = ["tracking=wandb", "fit.epochs=2", "fit.save_every=2"]
    real = tracking.Mirror.log
    count = [0]

    def dying(self, step, values):
        real(self, step, values)
        count[0] += 1
        if count[0] == 6:  # after step 3 was mirrored; the saved state is that of step 2
            raise Killed

    monkeypatch.setattr(tracking.Mirror, "log", dying)
    with pytest.raises(Killed):
        train("one", *more)
    monkeypatch.setattr(tracking.Mirror, "log", real)
    train("one", *more)
    run = tmp_path / "one"
    ids = {r.run.run_id for r in offline(run) if r.WhichOneof("record_type") == "run"}
    assert len(ids) == 1
    for prefix in ("train/", "val/"):
        assert mirrored(run, prefix) == logged(run, prefix)


@needs_tensorboard
def test_tensorboard_mirrors_metrics_and_shows_mistakes(train, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train("one", "tracking=tensorboard", "tracking.pictures=3", "fit.epochs=1")
    events = EventAccumulator(str(tmp_path / "one" / "logs" / "tensorboard"))
    events.Reload()
    expected = {step: line["train/loss"] for step, line in logged(tmp_path / "one", "train/")}
    assert scalars(tmp_path / "one") == pytest.approx(expected)
    assert {"mistakes/0", "mistakes/2", "confusion"} <= set(events.Tags()["images"])


def test_what_cannot_be_tracked_is_said(train, tmp_path, monkeypatch):
    with pytest.raises(BadSettings, match="there are: none, tensorboard, wandb"):
        train("one", "tracking=mlflow")
    with pytest.raises(BadSettings, match="needs a key: set WANDB_API_KEY"):
        train("two", "tracking=wandb", "tracking.mode=online")
    with pytest.raises(BadSettings, match="there are: online, offline, disabled"):
        train("three", "tracking=wandb", "tracking.mode=dryrun")
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(BadSettings, match=r"ocr-distillery\[wandb\]"):
        train("four", "tracking=wandb")
    with pytest.raises(BadData, match=r"no metrics\.jsonl"):
        tracking.main(["push", str(tmp_path)])
    with pytest.raises(BadSettings, match="there are: push"):
        tracking.main(["pull", str(tmp_path)])


def test_a_key_is_looked_for_and_never_asked_for(monkeypatch, tmp_path):
    assert not member.key_known()
    monkeypatch.setenv("WANDB_API_KEY", "k" * 40)
    assert member.key_known()
    monkeypatch.delenv("WANDB_API_KEY")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / ".netrc").write_text("machine api.wandb.ai login user password key\n")
    (tmp_path / "home" / ".netrc").chmod(0o600)
    assert member.key_known()


def stopping(monkeypatch, step: int):
    """Ends a run, as if it were killed, once a step is logged."""
    real = runfolder.RunFolder.log

    def dying(self, at, values):
        real(self, at, values)
        if at == step:
            raise Killed

    monkeypatch.setattr(runfolder.RunFolder, "log", dying)
    return lambda: monkeypatch.setattr(runfolder.RunFolder, "log", real)


@needs_tensorboard
def test_a_tracker_that_comes_late_is_told_all_that_was_before(train, tmp_path, monkeypatch):
    more = ["fit.epochs=2", "fit.save_every=2"]
    go_on = stopping(monkeypatch, 5)
    with pytest.raises(Killed):
        train("one", *more)
    go_on()
    train("one", *more, "tracking=tensorboard")
    assert sorted(scalars(tmp_path / "one")) == list(range(1, 13))


def test_what_an_earlier_run_got_wrong_is_not_told_of_one_begun_anew(train, tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(none.Tracker, "mistakes", lambda self, step, found: told.append(step))
    train("one", "fit.epochs=2")
    shutil.rmtree(tmp_path / "one" / "state")
    train("one", "fit.epochs=1", "seed=5")
    assert told == [0, 6, 12, 0, 6]


@needs_tensorboard
def test_a_push_that_fails_says_so(train, tmp_path, monkeypatch):
    from train.trackers import tensorboard

    train("one", "fit.epochs=1")
    monkeypatch.setattr(tensorboard.Tracker, "mistakes", lambda self, step, found: 1 / 0)
    with pytest.raises(BadData, match="did not take everything"):
        tracking.main(["push", str(tmp_path / "one"), "tracking=tensorboard"])


@needs_tensorboard
def test_a_run_begun_anew_is_mirrored_anew_and_a_push_draws_nothing_twice(train, tmp_path):
    more = ["fit.epochs=1", "tracking=tensorboard"]
    train("one", *more)
    begun = (tmp_path / "one" / "tracking.json").read_text()
    shutil.rmtree(tmp_path / "one" / "state")
    train("one", *more, "seed=5")
    assert (tmp_path / "one" / "tracking.json").read_text() != begun
    expected = {step: line["train/loss"] for step, line in logged(tmp_path / "one", "train/")}
    for _ in range(2):
        tracking.main(["push", str(tmp_path / "one"), "tracking=tensorboard"])
        assert scalars(tmp_path / "one") == pytest.approx(expected)


def test_a_tracker_that_fails_is_let_go_and_the_run_goes_on(train, tmp_path, monkeypatch, capsys):
    class Broken(none.Tracker):
        def log(self, step, values):
            if step == 3:
                raise OSError("disk full")

    monkeypatch.setattr(none, "Tracker", Broken)
    monkeypatch.setattr(tracking.none, "Tracker", Broken)
    assert train("one", "fit.epochs=1")["ending"] == "all epochs done"
    said = capsys.readouterr().out
    assert "tracking has failed and stops here (OSError('disk full'))" in said
    assert len([line for line in read_metrics(tmp_path / "one") if "train/loss" in line]) == 6
