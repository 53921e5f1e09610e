"""Fidelity: measures on answers made by hand; an evaluation against a teacher, or why there is none."""

import json

import pytest
import torch

from shards.errors import BadData
from shards.image import ImageSpec
from train import evaluation, fidelity, modelfolder
from train.models.crnn import Model
from train.models.crnn import Settings as Crnn
from train.tasks.recognise import Settings, Task

SMALL = Crnn(channels=[4, 4, 4, 4, 4, 4, 8], map_to_seq=8, rnn_hidden=8)


def answers(*paths: str) -> torch.Tensor:
    """Log-probabilities of sure answers, a class (digit) per step."""
    logits = torch.full((len(paths), len(paths[0]), 4), -20.0)
    for n, path in enumerate(paths):
        for t, symbol in enumerate(path):
            logits[n, t, int(symbol)] = 0.0
    return logits.log_softmax(-1)


@pytest.mark.parametrize(
    ("student", "teacher", "agreement", "blank", "shift"),
    [
        ("0120", "0120", 1.0, 1.0, 0.0),
        ("0012", "0120", 0.25, 0.5, 1.0),  # all one step late
        ("0320", "0120", 0.75, 1.0, 2.0),  # of two spikes, one is nowhere: four steps, the other where it is
        ("0000", "0000", 1.0, 1.0, 0.0),  # nothing to be late for
        ("1230", "0000", 0.25, 0.25, 0.0),
    ],
)
def test_measures_of_answers_made_by_hand(student, teacher, agreement, blank, shift):
    found = fidelity.of(answers(student), answers(teacher))
    assert set(found) == set(fidelity.MEASURES)
    assert found["agreement"].item() == agreement
    assert found["blank"].item() == blank
    assert found["peak_shift"].item() == shift
    assert found["kl"].item() == pytest.approx(20 * (1 - agreement), abs=1e-4)


def test_samples_do_not_meet_and_no_gradient_passes():
    student = answers("0120", "0012").requires_grad_()
    found = fidelity.of(student, answers("0120", "0120"))
    assert found["agreement"].tolist() == [1.0, 0.25]
    assert not any(values.requires_grad for values in found.values())


def folder(path, seed=0, charset="36", image=None):
    torch.manual_seed(seed)
    task = Task(Settings(charset), image or ImageSpec())
    model = Model(SMALL, task.image, task.channels)
    modelfolder.save(path, model, task, model_name="crnn", task_name="recognise", extra={})
    return path


def evaluate(words, tmp_path, *more):
    evaluation.main([f"data.root={words}", f"out={tmp_path / 'out.json'}", "data.threads=1", *more])
    return json.loads((tmp_path / "out.json").read_text())["models"]


def test_an_evaluation_tells_how_close_a_model_comes_to_a_teacher_and_says_nothing_of_the_teacher_itself(
    words, tmp_path, capsys
):
    teacher, other = folder(tmp_path / "t"), folder(tmp_path / "o", seed=1)
    (tmp_path / "same").symlink_to(other)
    found = evaluate(words, tmp_path, f"checkpoint={teacher},{other}", f"teacher={teacher}", "batch=7")
    assert "fidelity" not in found[str(teacher)]
    told = found[str(other)]["fidelity"]
    assert (told["n"], told["teacher"]) == (32, str(teacher))
    assert told["weights"] == modelfolder.weights_digest(teacher)
    for name in fidelity.MEASURES:
        assert told[name]["low"] <= told[name]["value"] <= told[name]["high"]
    said = " ".join(capsys.readouterr().out.split())
    assert "step by step" in said
    assert f"{told['kl']['value']:.3f} [{told['kl']['low']:.3f}" in said
    copied = evaluate(words, tmp_path, f"checkpoint={folder(tmp_path / 'copy')}", f"teacher={teacher}")
    told = copied[str(tmp_path / "copy")]["fidelity"]
    assert (told["agreement"]["value"], told["blank"]["value"], told["peak_shift"]["value"]) == (1, 1, 0)
    assert told["kl"]["value"] == pytest.approx(0, abs=1e-6)


def test_a_teacher_of_another_image_sees_its_own_canvases(words, tmp_path):
    teacher = folder(tmp_path / "t", image=ImageSpec(channels="grey", mean=0.4))
    found = evaluate(words, tmp_path, f"checkpoint={folder(tmp_path / 'o')}", f"teacher={teacher}")
    assert found[str(tmp_path / "o")]["fidelity"]["kl"]["value"] > 0


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ({"charset": "62"}, "characters are '0123456789abc"),
        ({"image": ImageSpec(width=128)}, "steps: 24 here, 31 of the teacher"),
    ],
)
def test_steps_that_cannot_be_compared_are_told_and_the_rest_is_evaluated(words, tmp_path, capsys, how, why):
    teacher = folder(tmp_path / "t", **how)
    found = evaluate(words, tmp_path, f"checkpoint={folder(tmp_path / 'o')}", f"teacher={teacher}")
    told = found[str(tmp_path / "o")]
    assert told["n"] == 32
    assert why in told["fidelity"]["why"]
    assert set(told["fidelity"]) == {"teacher", "weights", "why"}
    assert "of the teacher" in " ".join(capsys.readouterr().out.split())


def test_a_teacher_that_is_not_there_is_named(words, tmp_path):
    with pytest.raises(BadData, match="/no/where"):
        evaluate(words, tmp_path, f"checkpoint={folder(tmp_path / 'o')}", "teacher=/no/where")
