"""Searches over a double of a training: leaderboards, failures, and every way of being stopped."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from shards.errors import GateFailed, Preempted
from train import search

ROOT = Path(__file__).resolve().parent.parent.parent
DOUBLE = Path(__file__).with_name("searched.py")
pytestmark = pytest.mark.slow


def board(out: Path) -> dict:
    return json.loads((out / "leaderboard.json").read_text())


def begun(out: Path) -> dict[str, int]:
    """How often the processes of each trial were started."""
    return {p.name: len((p / "begun").read_text().split()) for p in sorted((out / "runs").iterdir())}


def state(out: Path) -> tuple:
    told = json.loads((out / "status.json").read_text())
    return told["state"], told["code"]


def test_a_grid_becomes_a_leaderboard_and_what_is_done_is_not_run_again(look, tmp_path, capsys):
    found = look("method=none,good", "x=.1", "seed=0,1", "jobs=2", "json=true")
    out = tmp_path / "out"
    assert [(row["label"], row["verdict"]["verdict"]) for row in found["rows"]] == [
        ("good", "BETTER"), ("none", "BASELINE"),
    ]  # fmt: skip
    assert found["rows"][0]["mean"] == pytest.approx(0.205)
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["best"] == {"method": "good"}
    assert told["next"].startswith(f"python -m train.report {out / 'runs' / 'good-s0'} ")
    assert begun(out) == {f"{name}-s{seed}": 1 for name in ("good", "none") for seed in (0, 1)}
    assert state(out) == ("done", 0)
    again = look("seed=0,1", "x=.1", "method=none,good", "jobs=2")
    assert again["rows"] == found["rows"]
    assert set(begun(out).values()) == {1}


def test_controls_are_named_and_commands_can_be_pasted(look, tmp_path):
    found = look("method=none,good", "shape=[1,2]", "seed=3")
    trials = {trial["name"]: trial for row in found["rows"] for trial in row["trials"]}
    kept = json.loads((tmp_path / "out" / "runs" / "good-s3" / "best" / "config.json").read_text())
    assert (kept["control"], kept["shape"]) == ("none-s3", [1, 2])
    command = trials["good-s3"]["command"].replace("python", sys.executable, 1)
    assert subprocess.run(command, shell=True, cwd=ROOT).returncode == 0
    with open(tmp_path / "out" / "leaderboard.csv") as file:
        assert [row["command"] for row in csv.DictReader(file)] == [t["command"] for t in trials.values()]


def test_a_learning_curve_shows_how_many_samples_each_share_is(look, tmp_path):
    rows = look("data.share=.1,.25,1", "seed=0,1", "jobs=2")["rows"]
    assert {row["label"]: row["samples"] for row in rows} == {
        "share .1": 100,
        "share .25": 250,
        "share 1": 1000,
    }
    told = (tmp_path / "out" / "leaderboard.md").read_text()
    assert "| samples |" in told
    assert "| 1,000 |" in told


def test_other_axes_take_over_what_is_done(look, tmp_path):
    look("x=.1,.2", "method=good")
    found = look("x=.2,.3", "method=none,good")
    assert begun(tmp_path / "out") == {"x.1": 1, "x.2": 1, "x.2-none": 1, "x.3-good": 1, "x.3-none": 1}
    assert {row["label"] for row in found["rows"]} == {
        f"x {x} {m}" for x in (".2", ".3") for m in ("none", "good")
    }


@pytest.mark.parametrize(
    ("end", "code", "reason"),
    [("badly", 3, "the data | smell"), ("killed", -9, "killed by SIGKILL"), ("bug", 1, "lines")],
)
def test_a_failed_trial_is_told_with_its_reason_and_hurts_no_other(look, tmp_path, end, code, reason):
    with pytest.raises(GateFailed, match=rf"1 of 2 trials failed: {end}") as stop:
        look(f"end={end},well")
    assert stop.value.result["failed"] == [end]
    rows = board(tmp_path / "out")["rows"]
    assert [row["mean"] for row in rows] == [0, None]
    trial = rows[1]["trials"][0]
    assert (trial["state"], trial["code"], trial["reason"]) == ("failed", code, reason)
    assert Path(trial["log"]).exists()
    assert reason.replace("|", r"\|") in (tmp_path / "out" / "leaderboard.md").read_text()
    assert state(tmp_path / "out") == ("failed", 4)
    with pytest.raises(GateFailed):
        look(f"end={end},well")
    assert begun(tmp_path / "out") == {end: 2, "well": 1}  # failed ones are tried once more


def test_a_trial_that_takes_too_long_is_stopped_and_told(look, tmp_path):
    with pytest.raises(GateFailed, match="1 of 1 trials failed"):
        look("seconds=60", "timeout=3s")
    (trial,) = board(tmp_path / "out")["rows"][0]["trials"]
    assert (trial["code"], trial["reason"]) == (85, "stopped: the limit of 3 s")


@pytest.mark.parametrize("strategy", ["random", "tpe"])
def test_drawn_points_are_the_same_again_and_more_of_them_take_over_the_first(look, tmp_path, strategy):
    asked = [f"strategy={strategy}", "x=uniform(0,1)", "seed=0,1"]
    asked += ["startup=2"] if strategy == "tpe" else []
    first = {row["label"] for row in look(*asked, "trials=2")["rows"]}
    more = look(*asked, "trials=4", "jobs=2")
    assert len(more["rows"]) == 4
    assert first < {row["label"] for row in more["rows"]}
    assert look(*asked, "trials=4")["rows"] == more["rows"]
    assert set(begun(tmp_path / "out").values()) == {1}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_a_search_is_stopped_the_same_command_goes_on(tmp_path, number):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "train.search", f"entry={DOUBLE}", f"out={out}", "x=.1,.2,.3", "jobs=2",
               "seconds=4"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until = time.monotonic() + 60
    while len(list(out.glob("runs/*/begun"))) < 2:
        assert time.monotonic() < until
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.05)
    pids = [int(p.read_text()) for p in out.glob("runs/*/begun")]
    process.send_signal(number)
    output = process.communicate(timeout=60)[0]
    if number != signal.SIGKILL:
        assert process.returncode == 85, output
        assert state(out) == ("preempted", 85)
        assert not any(map(psutil.pid_exists, pids))
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(board(out)["rows"]) == 3
    assert sorted(begun(out).values()) == [1, 2, 2]  # those that were stopped went on
    assert not any(map(psutil.pid_exists, pids))


def test_a_search_that_is_asked_to_stop_ends_as_preempted(look, tmp_path, monkeypatch):
    def finish(self, name, ending, real=search.session.Search.finish):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(self, name, ending)

    with monkeypatch.context() as patch:
        patch.setattr(search.session.Search, "finish", finish)
        with pytest.raises(Preempted, match="stopped by SIGTERM: 1 of 2 trials"):
            look("x=.1,.2")
    assert len(look("x=.1,.2")["rows"]) == 2
    assert begun(tmp_path / "out") == {"x.1": 1, "x.2": 1}
