"""python -m train.search, with a double of a training: quick, and failing on demand."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from shards.errors import BadData, BadSettings, GateFailed, Preempted
from train import runtime, search
from train.searching import children
from train.searching.children import Ending, Job

ROOT = Path(__file__).resolve().parent.parent.parent
DOUBLE = """
import json, os, signal, sys, time
from dataclasses import dataclass, field
from pathlib import Path
from shards import config, progress
from shards.errors import BadData, Preempted
from train import runfolder

@dataclass
class Settings:
    run: runfolder.Settings = field(default_factory=runfolder.Settings)
    x: float = 0.0
    shape: list[int] = field(default_factory=list)
    method: str = "none"
    end: str = "well"
    seconds: float = 0.0
    seed: int = 0
    control: str = ""

def stop(number, frame):
    raise Preempted("asked to")

def main(argv):
    given = config.read(Settings, "double", argv)
    folder = Path(given.run.root) / given.run.name
    signal.signal(signal.SIGTERM, stop)
    (folder / "best").mkdir(parents=True, exist_ok=True)
    with open(folder / "begun", "a") as file:
        print(os.getpid(), file=file, flush=True)
    waited, parent = folder / "waited", os.getppid()
    try:
        while not waited.exists() and given.seconds:
            time.sleep(0.05)
            given.seconds = max(0, given.seconds - 0.05)
            if os.getppid() != parent:
                raise Preempted("nobody waits")
    finally:
        waited.touch()
    if given.end == "badly":
        raise BadData("the data | smell")
    if given.end == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if given.end == "bug":
        raise ValueError("two\\nlines")
    score = 0.5 - abs(given.x - 0.5) + 0.01 * given.seed + 0.1 * (given.method != "none")
    content = {"metrics": {"word_acc": score, "cer": 1 - score}}
    content |= {"control": given.control, "shape": given.shape}
    (folder / "best" / "config.json").write_text(json.dumps(content))
    progress.status(folder, "done", 0)

if __name__ == "__main__":
    sys.exit(progress.run(main))
"""


@pytest.fixture
def double(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    path = tmp_path / "double.py"
    path.write_text(DOUBLE)
    return path


@pytest.fixture
def run(double, tmp_path):
    """run(*arguments) searches in this process; returns leaderboard.json."""

    def go(*arguments: str) -> dict:
        search.main([f"entry={double}", f"out={tmp_path / 'out'}", *arguments])
        return board(tmp_path / "out")

    return go


def board(out: Path) -> dict:
    return json.loads((out / "leaderboard.json").read_text())


def begun(out: Path) -> dict[str, int]:
    """How often the processes of each trial were started."""
    return {p.name: len((p / "begun").read_text().split()) for p in sorted((out / "runs").iterdir())}


def state(out: Path) -> tuple:
    told = json.loads((out / "status.json").read_text())
    return told["state"], told["code"]


def test_a_grid_becomes_a_leaderboard_and_what_is_done_is_not_run_again(run, tmp_path, capsys):
    found = run("method=none,good", "x=.1", "seed=0,1", "jobs=2", "json=true")
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
    again = run("seed=0,1", "x=.1", "method=none,good", "jobs=2")
    assert again["rows"] == found["rows"]
    assert set(begun(out).values()) == {1}


def test_controls_are_named_and_commands_can_be_pasted(run, tmp_path):
    found = run("method=none,good", "shape=[1,2]", "seed=3")
    trials = {trial["name"]: trial for row in found["rows"] for trial in row["trials"]}
    kept = json.loads((tmp_path / "out" / "runs" / "good-s3" / "best" / "config.json").read_text())
    assert (kept["control"], kept["shape"]) == ("none-s3", [1, 2])
    command = trials["good-s3"]["command"].replace("python", sys.executable, 1)
    assert subprocess.run(command, shell=True, cwd=ROOT).returncode == 0
    with open(tmp_path / "out" / "leaderboard.csv") as file:
        assert [row["command"] for row in csv.DictReader(file)] == [t["command"] for t in trials.values()]


def test_other_axes_take_over_what_is_done(run, tmp_path):
    run("x=.1,.2", "method=good")
    found = run("x=.2,.3", "method=none,good")
    assert begun(tmp_path / "out") == {"x.1": 1, "x.2": 1, "x.2-none": 1, "x.3-good": 1, "x.3-none": 1}
    assert {row["label"] for row in found["rows"]} == {
        f"x {x} {m}" for x in (".2", ".3") for m in ("none", "good")
    }


@pytest.mark.parametrize(
    ("end", "code", "reason"),
    [("badly", 3, "the data | smell"), ("killed", -9, "killed by SIGKILL"), ("bug", 1, "lines")],
)
def test_a_failed_trial_is_told_with_its_reason_and_hurts_no_other(run, tmp_path, end, code, reason):
    with pytest.raises(GateFailed, match=rf"1 of 2 trials failed: {end}") as stop:
        run(f"end={end},well")
    assert stop.value.result["failed"] == [end]
    rows = board(tmp_path / "out")["rows"]
    assert [row["mean"] for row in rows] == [0, None]
    trial = rows[1]["trials"][0]
    assert (trial["state"], trial["code"], trial["reason"]) == ("failed", code, reason)
    assert Path(trial["log"]).exists()
    assert reason.replace("|", r"\|") in (tmp_path / "out" / "leaderboard.md").read_text()
    assert state(tmp_path / "out") == ("failed", 4)
    with pytest.raises(GateFailed):
        run(f"end={end},well")
    assert begun(tmp_path / "out") == {end: 2, "well": 1}  # failed ones are tried once more


def test_a_trial_that_takes_too_long_is_stopped_and_told(run, tmp_path):
    with pytest.raises(GateFailed, match="1 of 1 trials failed"):
        run("seconds=60", "timeout=3s")
    (trial,) = board(tmp_path / "out")["rows"][0]["trials"]
    assert (trial["code"], trial["reason"]) == (85, "stopped: the limit of 3 s")


@pytest.mark.parametrize("strategy", ["random", "tpe"])
def test_drawn_points_are_the_same_again_and_more_of_them_take_over_the_first(run, tmp_path, strategy):
    asked = [f"strategy={strategy}", "x=uniform(0,1)", "seed=0,1"]
    asked += ["startup=2"] if strategy == "tpe" else []
    first = {row["label"] for row in run(*asked, "trials=2")["rows"]}
    more = run(*asked, "trials=4", "jobs=2")
    assert len(more["rows"]) == 4
    assert first < {row["label"] for row in more["rows"]}
    assert run(*asked, "trials=4")["rows"] == more["rows"]
    assert set(begun(tmp_path / "out").values()) == {1}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["y=1,2"], "double.py refuses y 1: settings: no 'y' (there are: run, x,"),
        (["x=1,two"], "double.py refuses two: x: 'two' is not float"),
        (["run.name=a"], "run.name=a: a search names its runs itself; out= says where"),
        (["x=uniform(0,1)"], "x is a range, and a grid needs values"),
        (["trials=3"], "no 'trials'"),
        (["strategy=best"], "no 'best' (there are: grid, random, tpe)"),
        (["x=1,2", "baseline=x=3"], "baseline=x: no '3' (there are: 1, 2)"),
        (["x=1,2", "baseline=z=3"], "baseline: no 'z' (there are: x)"),
        (["timeout=soon"], "timeout: 'soon' is not a time"),
        (["jobs=0"], "jobs: 0, must be between 1"),
        (["--jobs=2"], "settings are given as key=value"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_run(run, tmp_path, arguments, told):
    with pytest.raises(BadSettings, match=re.escape(told)):
        run(*arguments)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("entry", "told"), [("", "is required"), ("no.py", "no Python script"), ("x.py", "offers no")]
)
def test_an_entry_that_is_none_is_refused(tmp_path, monkeypatch, entry, told):
    monkeypatch.chdir(tmp_path)
    Path("x.py").write_text("")
    with pytest.raises(BadSettings, match=told):
        search.main([f"entry={entry}"])


def test_unknown_metrics_and_sets_are_refused_before_anything_is_run(tmp_path):
    entry, out = f"entry={ROOT / 'train' / 'teacher.py'}", f"out={tmp_path / 'out'}"
    with pytest.raises(BadSettings, match="metric: no 'word_ac'; did you mean 'word_acc'"):
        search.main([entry, out, "metric=word_ac"])
    with pytest.raises(BadData, match="nowhere"):
        search.main([entry, out, f"evaluate={tmp_path / 'nowhere'}"])
    with pytest.raises(BadSettings, match=r"refuses lr -1: optim.lr: -1.0"):
        search.main([entry, out, "optim.lr=1,-1"])


def test_what_is_set_for_one_method_is_no_axis_of_the_others(tmp_path, capsys):
    entry = f"entry={ROOT / 'distill' / 'student.py'}"
    asked = ["method=none,logits,[logits,hard]", "method.logits.weight=.3,.7", "dry_run=true", "json=true"]
    search.main([entry, f"out={tmp_path / 'out'}", *asked])
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    names = ["none", "logits-weight.3", "logits-weight.7", "logits+hard-weight.3", "logits+hard-weight.7"]
    assert sorted(told["trials"]) == sorted(names)
    assert not (tmp_path / "out").exists()


def test_question_marks_are_answered_by_the_entry(capsys):
    with pytest.raises(SystemExit):
        search.main([f"entry={ROOT / 'train' / 'teacher.py'}", "optim.lr=?"])
    assert capsys.readouterr().out.startswith("optim.lr: float")


@pytest.mark.parametrize(
    ("slots", "threads", "gpus", "told"),
    [
        (1, 0, ["0", "1"], [("8", None)]),
        (3, 0, [], [("2", None)] * 3),
        (16, 0, ["0"], [("1", None)] * 16),
        (3, 5, ["2", "7"], [("5", "2"), ("5", "7"), ("5", "2")]),
    ],
)
def test_slots_share_the_cores_and_the_gpus(slots, threads, gpus, told):
    found = children.environments(slots, threads, 8, gpus)
    assert [(one["OMP_NUM_THREADS"], one.get("CUDA_VISIBLE_DEVICES")) for one in found] == told


def test_jobs_run_their_commands_in_order_and_end_at_the_first_that_fails(tmp_path):
    def python(code: str) -> tuple[str, ...]:
        return sys.executable, "-c", code

    jobs = [
        Job("good", (python("print('one')"), python("print('two')")), tmp_path / "good"),
        Job("bad", (python("raise SystemExit('error: no')"), python("print('two')")), tmp_path / "bad"),
    ]
    found = {job.name: ending for job, ending in children.work(iter(jobs), [{}], lambda: False, len)}
    assert [(name, ending.code) for name, ending in found.items()] == [("good", 0), ("bad", 1)]
    assert (tmp_path / "good").read_text().splitlines()[1::2] == ["one", "two"]
    assert children.last_words(tmp_path / "bad") == "no"
    assert children.last_words(tmp_path / "none") == ""
    assert isinstance(found["good"], Ending)


def test_a_search_is_the_launcher_of_its_trials():
    assert runtime._is_launcher(["python", "-m", "train.search", "entry=train/teacher.py"])
    assert not runtime._is_launcher(["bash", "-c", "python -m train.search entry=train/teacher.py"])


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_a_search_is_stopped_the_same_command_goes_on(double, tmp_path, number):
    out = tmp_path / "out"
    command = [sys.executable, "-m", "train.search", f"entry={double}", f"out={out}", "x=.1,.2,.3", "jobs=2",
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


def test_two_searches_do_not_share_a_folder(run, tmp_path):
    from shards.lock import locked

    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out"), pytest.raises(BadSettings, match="another run writes here"):
        run("x=1,2")


def test_a_search_that_is_asked_to_stop_ends_as_preempted(run, tmp_path, monkeypatch):
    def finish(self, name, ending, real=search.session.Search.finish):
        os.kill(os.getpid(), signal.SIGTERM)
        return real(self, name, ending)

    with monkeypatch.context() as patch:
        patch.setattr(search.session.Search, "finish", finish)
        with pytest.raises(Preempted, match="stopped by SIGTERM: 1 of 2 trials"):
            run("x=.1,.2")
    assert len(run("x=.1,.2")["rows"]) == 2
    assert begun(tmp_path / "out") == {"x.1": 1, "x.2": 1}
