"""The run folder: one lock, settings that may not change, logs that can be taken back."""

import json
import subprocess
import sys

import pytest

from shards.errors import BadSettings
from train.runfolder import RunFolder, Settings, read_metrics

CONFIG = {"fit": {"epochs": 2, "lr": 1e-5}, "time_limit": "", "data": {"root": ["a"], "digest": "x"}}


@pytest.fixture
def folder(tmp_path):
    made = RunFolder(Settings("one", str(tmp_path)))
    yield made
    made.close()


def state(folder, name, whole=True):
    (folder.states / name).mkdir(parents=True)
    if whole:
        (folder.states / name / "position.json").write_text("{}")


def test_a_name_is_required():
    with pytest.raises(BadSettings, match=r"run\.name"):
        RunFolder(Settings())


def test_one_process_holds_a_run_and_gives_it_back(folder):
    folder.open(CONFIG)
    code = (
        "import sys; from train.runfolder import *; from shards.errors import BadSettings\n"
        "try: RunFolder(Settings('one', sys.argv[1])).open({})\n"
        "except BadSettings as e: print(e); sys.exit(2)"
    )
    line = [sys.executable, "-c", code, str(folder.path.parent)]
    other = subprocess.run(line, capture_output=True, text=True)
    assert (other.returncode, "in use by another process" in other.stdout) == (2, True)
    folder.close()
    assert subprocess.run(line, capture_output=True).returncode == 0


def test_only_rank_0_writes(tmp_path):
    other = RunFolder(Settings("one", str(tmp_path)), main=False)
    other.open(CONFIG)
    other.status("running")
    other.log(1, {"a": 1.0})
    other.rewind(0, 0)
    assert not other.path.exists()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"fit": {"epochs": 3, "lr": 1e-5}}, "fit.epochs=2, now it is 3"),
        ({"fit": {"epochs": 2, "lr": 1e-4}}, "fit.lr=1e-05, now it is 0.0001"),
        ({"more": True}, "more=None, now it is True"),
        ({"data": {"root": ["a"], "digest": "y"}}, "data.digest=x, now it is y"),
    ],
)
def test_changed_settings_of_a_begun_run_are_refused_with_both_values(folder, changed, named):
    folder.open(CONFIG)
    state(folder, "step-0000000000-judged")
    folder.close()
    before = (folder.path / "config.yaml").read_bytes()
    with pytest.raises(BadSettings) as error:
        folder.open(CONFIG | changed)
    assert named in str(error.value)
    assert f"init_from={folder.last}" in str(error.value)
    assert (folder.path / "config.yaml").read_bytes() == before
    folder.open(CONFIG)  # the refusal kept no lock


def test_free_settings_may_change_and_the_data_may_move(folder):
    folder.open(CONFIG)
    state(folder, "step-0000000000-judged")
    folder.close()
    folder.open(CONFIG | {"time_limit": "1h", "data": {"root": ["b"], "digest": "x"}})
    assert "time_limit: 1h" in (folder.path / "config.yaml").read_text()


def test_a_run_without_a_state_was_never_begun_and_takes_other_settings(folder):
    folder.open(CONFIG)
    state(folder, "step-0000000000-judged.part")
    folder.close()
    folder.open(CONFIG | {"fit": {"epochs": 9, "lr": 1.0}})
    assert "epochs: 9" in (folder.path / "config.yaml").read_text()


def test_the_newest_whole_state_is_found(folder):
    assert folder.newest_state() is None
    for name in ("step-0000000009", "step-0000000010", "step-0000000010-judged", "step-0000000011.part"):
        state(folder, name)
    state(folder, "step-0000000012", whole=False)
    assert folder.newest_state().name == "step-0000000010-judged"


def test_a_committed_state_is_the_only_one(folder):
    for name in ("step-0000000001", "step-0000000002-judged.part", "step-0000000003.part"):
        state(folder, name)
    state(folder, "step-0000000002-judged", whole=False)
    folder.commit_state(folder.states / "step-0000000002-judged.part")
    assert [p.name for p in folder.states.iterdir()] == ["step-0000000002-judged"]
    assert folder.newest_state() is not None


def test_rewinding_drops_what_will_be_computed_again(folder):
    folder.open(CONFIG)
    folder.log(0, {"data/unlabelled": 1})
    folder.log(0, {"val/cer": 1.0})
    for step in (1, 2, 3):
        folder.log(step, {"train/loss": float(step)})
    folder.log(2, {"val/cer": 0.5})
    folder.append("nonfinite.jsonl", 3, {"uids": ["a"]})
    with open(folder.path / "metrics.jsonl", "a") as file:
        file.write('{"global_step": 4, "train/lo')  # cut by a crash
    folder.rewind(2, 0)
    kept = [(line["global_step"], next(k for k in line if k != "global_step")) for line in folder.metrics()]
    assert kept == [(0, "data/unlabelled"), (0, "val/cer"), (1, "train/loss"), (2, "train/loss")]
    assert (folder.path / "nonfinite.jsonl").read_bytes() == b""
    folder.log(3, {"train/loss": 3.0})
    assert len(folder.metrics()) == 5


def test_what_is_not_finite_is_null_in_the_log(folder):
    folder.open(CONFIG)
    folder.log(1, {"train/loss": float("nan"), "train/grad_norm": float("inf"), "epoch": 0})
    text = (folder.path / "metrics.jsonl").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["train/loss"] is None
    assert read_metrics(folder.path)[0]["epoch"] == 0


def test_done_is_what_the_status_says(folder):
    assert not folder.done
    folder.status("running")
    assert not folder.done
    folder.status("done", 0)
    assert folder.done
