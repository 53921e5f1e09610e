"""python -m train.search: what it refuses and plans; the jobs that it runs."""

import json
import re
import sys
from pathlib import Path

import pytest

from shards.errors import BadData, BadSettings
from shards.lock import locked
from train import runtime, search
from train.searching import children
from train.searching.children import Ending, Job

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["y=1,2"], "searched.py refuses y 1: settings: no 'y' (there are: data, run, x,"),
        (["x=1,two"], "searched.py refuses two: x: 'two' is not float"),
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
def test_what_cannot_be_is_refused_before_anything_is_run(look, tmp_path, arguments, told):
    with pytest.raises(BadSettings, match=re.escape(told)):
        look(*arguments)
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


def test_two_searches_do_not_share_a_folder(look, tmp_path):
    (tmp_path / "out").mkdir()
    with locked(tmp_path / "out"), pytest.raises(BadSettings, match="another run writes here"):
        look("x=1,2")
