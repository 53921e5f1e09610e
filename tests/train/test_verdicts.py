"""Verdicts: they know what they compare, and a control that is none is not taken for one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

from shards.image import ImageSpec
from shards.read import Shards
from train import evaluation, modelfolder
from train.models.crnn import Model
from train.models.crnn import Settings as Crnn
from train.tasks.recognise import Settings, Task
from train.verdicts import Judged, verdicts
from train.wordscore import Score

CONFIG = {"fit": {"epochs": 2}, "data": {"root": ["a"], "digest": "d"}, "seed": 0, "method": {"hard": {}}}


def run_folder(path: Path, seed=0, steps=9, charset="36", **config) -> Path:
    """A run folder with a random model; returns the model folder."""
    torch.manual_seed(seed)
    task = Task(Settings(charset), ImageSpec())
    model = Model(Crnn(channels=[4, 4, 4, 4, 4, 4, 8], map_to_seq=8, rnn_hidden=8), task.image, task.channels)
    extra = {"control": "s-control"} if path.name == "s" else {}
    modelfolder.save(path / "best", model, task, model_name="crnn", task_name="recognise", extra=extra)
    (path / "config.yaml").write_text(OmegaConf.to_yaml(CONFIG | config))
    (path / "status.json").write_text(json.dumps({"state": "done", "global_step": steps}))
    return path / "best"


def evaluate(words, tmp_path, *more):
    evaluation.main([f"data.root={words}", f"out={tmp_path / 'out.json'}", "data.threads=1", *more])
    return json.loads((tmp_path / "out.json").read_text())["models"]


def judged(path, right, **config) -> Judged:
    return Judged(path, config, Known(dict(enumerate(right))), {}, {}, {})


class Known(Score):
    def __init__(self, right: dict[int, bool]) -> None:
        self.right, self._scored = right, {}


BASE = [True] * 100 + [False] * 100


@pytest.mark.parametrize(
    ("right", "verdict"),
    [
        ([True] * 130 + [False] * 70, "BETTER"),
        ([True] * 70 + [False] * 130, "WORSE"),
        ([True] * 99 + [False] * 100 + [True], "NO DIFFERENCE"),
        (BASE, "NO DIFFERENCE"),
    ],
)
def test_a_model_is_judged_against_the_baseline(right, verdict):
    found = verdicts([judged("a", right), judged("b", BASE)], "b", seed=0)
    assert found["a"]["verdict"] == verdict
    assert found["a"]["difference"] == pytest.approx(np.mean(right) - 0.5)
    assert found["b"] == {"verdict": "BASELINE", "against": "b"}


def test_a_student_is_judged_against_its_control_and_nobody_else():
    student = judged("runs/s/best", [True] * 150 + [False] * 50, control="c")
    others = [judged(f"runs/{name}/best", BASE) for name in "ct"]
    found = verdicts([student, *others], "", seed=0)
    assert (found[student.path]["verdict"], found[student.path]["against"]) == ("BETTER", "runs/c/best")
    assert [found[o.path]["verdict"] for o in others] == ["NOT JUDGED", "NOT JUDGED"]
    missing = {"verdict": "NOT JUDGED", "against": str(Path("runs/c/best").resolve())}
    assert verdicts([student], "", seed=0)[student.path] == missing


def test_a_control_is_found_beside_the_student_from_anywhere(words, tmp_path, monkeypatch, capsys):
    run_folder(tmp_path / "old" / "s")
    run_folder(tmp_path / "old" / "s-control", seed=1, method={}, cache="elsewhere", run={"name": "x"})
    shutil.move(tmp_path / "old", tmp_path / "moved")
    student, control = (tmp_path / "moved" / name / "best" for name in ("s", "s-control"))
    found = evaluate(words, tmp_path, f"checkpoint={student}")
    assert set(found) == {str(student), str(control)}
    assert found[str(student)]["against"] == str(control)
    assert "difference" in found[str(student)]
    monkeypatch.chdir(tmp_path / "moved")
    found = evaluate(words, tmp_path, "checkpoint=./s/best")
    assert set(found) == {"./s/best", "s-control/best"}
    assert found["./s/best"]["verdict"] != "NOT JUDGED"
    found = evaluate(words, tmp_path, "checkpoint=s/best,s-control/best/")
    assert set(found) == {"s/best", "s-control/best/"}
    shutil.rmtree(control.parent)
    assert evaluate(words, tmp_path, "checkpoint=s/best")["s/best"]["verdict"] == "NOT JUDGED"
    assert "is not judged: there is no control" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("other", "field", "values"),
    [
        ({"fit": {"epochs": 3}}, "fit.epochs", [2, 3]),
        ({"data": {"root": ["a"], "digest": "e"}}, "data.digest", ["d", "e"]),
        ({"augment": {"blur": 1.0}}, "augment.blur", [None, 1.0]),
        ({"steps": 8}, "global_step", [9, 8]),
    ],
)
def test_a_control_that_did_something_else_is_no_control(words, tmp_path, capsys, other, field, values):
    student = run_folder(tmp_path / "s")
    control = run_folder(tmp_path / "s-control", seed=1, **{"method": {}, **other})
    found = evaluate(words, tmp_path, f"checkpoint={student}")[str(student)]
    assert (found["verdict"], found["field"], found["values"]) == ("NOT JUDGED", field, values)
    assert "difference" not in found
    assert f"is not judged: {field} is {values[0]}, in its control" in capsys.readouterr().out
    found = evaluate(words, tmp_path, f"checkpoint={student}", f"baseline={control}")[str(student)]
    assert "difference" in found


def test_what_may_differ_between_a_student_and_its_control(words, tmp_path):
    student = run_folder(tmp_path / "s", identity={"cache": "c"}, cache="a", teacher="t", time_limit="1h")
    run_folder(tmp_path / "s-control", data={"root": ["b"], "digest": "d"}, method={}, json=True)
    assert "difference" in evaluate(words, tmp_path, f"checkpoint={student}")[str(student)]


def test_a_control_that_is_still_training_is_none_yet(words, tmp_path):
    student, control = run_folder(tmp_path / "s"), run_folder(tmp_path / "s-control", seed=1, method={})
    status = json.dumps({"state": "running", "global_step": 3})
    (control.parent / "status.json").write_text(status)
    assert set(evaluate(words, tmp_path, f"checkpoint={student}")) == {str(student)}


def test_models_that_fold_labels_otherwise_are_said_not_to_be_judged_alike(words, tmp_path, capsys):
    small, all_ = run_folder(tmp_path / "a"), run_folder(tmp_path / "b", charset="62")
    texts = [Shards([words], "test").text(i) or "" for i in range(32)]
    given = [f"checkpoint={small}", f"baseline={all_}"]
    found = evaluate(words, tmp_path, *given, "card=true")
    unlike = sum(text != text.lower() for text in texts)
    assert found[str(small)]["unlike"] == unlike > 0
    assert f"; not judged alike: {unlike} of the 32 labels are folded otherwise" in (
        small / "README.md"
    ).read_text(encoding="utf-8")
    said = " ".join(capsys.readouterr().out.split())
    assert f"{small} and {all_} are not judged alike" in said
    assert "protocol=36, 62 or 94 compares both by one rule" in said
    assert "unlike" not in evaluate(words, tmp_path, *given, "protocol=36")[str(small)]
    assert "not judged alike" not in capsys.readouterr().out


def test_it_is_kept_on_request_which_words_were_read_right(words, tmp_path):
    model = run_folder(tmp_path / "s")
    found = evaluate(words, tmp_path, f"checkpoint={model}", f"words={tmp_path / 'words.json'}")
    kept = json.loads((tmp_path / "words.json").read_text())["models"][str(model)]
    assert len(kept) == found[str(model)]["n"] == 32
    assert sum(kept.values()) == round(32 * found[str(model)]["word_acc"]["value"])
