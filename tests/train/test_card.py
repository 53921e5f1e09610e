"""The card of a model: what the Hub reads of it, what people read; nothing but the folder decides it."""

import hashlib
import json
from dataclasses import asdict

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shards.image import ImageSpec
from train import evaluated, modelfolder
from train.card import card
from train.frontmatter import frontmatter, licence
from train.models import crnn
from train.predict import PRETRAINED
from train.tasks import recognise

HASHES = {"model.safetensors": "ab" * 32}
OPEN, UNSAID = "CC BY 4.0 (attribution is needed)", "not stated"
RESEARCH = "none stated (research use; images and shards are not to be passed on)"
DATA = {"svt-train-0a1b2c": {"split": "train", "digest": "d" * 64, "samples": 257, "licence": OPEN}}
KEPT = {
    "split": "test", "protocol": "36", "data": "e" * 64, "n": 90,
    "figures": {"word_acc": {"value": 0.6667, "low": 0.5642, "high": 0.7555}, "cer": {"value": 0.1}},
    "verdict": {"verdict": "BETTER", "against": "small-control/best",
                "difference": 0.03, "low": 0.01, "high": 0.05},
    "weak": {"length": [["12", 20, 3]]}, "confusions": [["o", "0", 14], ["l", "", 2]],
}  # fmt: skip
TAUGHT = {"method": {"nkd": {"weight": 0.5}}, "control": "small-control",
          "teacher": {"weights": "f" * 64, "model": {"name": "crnn"}, "precision": "fp32"}}  # fmt: skip


def told(name="crnn", task="recognise", **extra):
    return {"format": 1, "task": {"name": task, "settings": {"charset": "36"}}, "image": asdict(ImageSpec()),
            "model": {"name": name, "settings": {}}, **extra}  # fmt: skip


def front(config):
    text = frontmatter(config)
    assert text.startswith("---\n")
    assert text.endswith("---\n")
    return yaml.safe_load(text.strip("-\n"))


def test_the_hub_reads_results_licence_and_task_of_a_card(tmp_path):
    hub = pytest.importorskip("huggingface_hub")
    config = told(data=DATA, evaluated={"svt-test-36": KEPT}, **TAUGHT)
    (tmp_path / "README.md").write_text(card(config, 9, HASHES))
    read = hub.ModelCard.load(tmp_path / "README.md").data
    assert (read.library_name, read.pipeline_tag) == ("ocr-distillery", "image-to-text")
    assert (read.license, read.datasets) == ("other", ["svt"])
    assert "knowledge-distillation" in read.tags
    first, second = read.eval_results
    assert (first.metric_type, first.metric_value, first.metric_args) == (
        "accuracy", 66.67, {"interval 95 %": [56.42, 75.55]},
    )  # fmt: skip
    assert (first.dataset_name, first.dataset_split, first.dataset_revision) == (
        "svt-test-36",
        "test",
        "e" * 64,
    )
    assert first.dataset_args == {"protocol": "36", "n": 90}
    assert (second.metric_type, second.metric_value) == ("cer", 10.0)
    again = hub.ModelCardData(**yaml.safe_load(read.to_yaml()))
    assert again.to_dict() == read.to_dict()


def test_a_detector_is_offered_as_one():
    said = front(told("yolo", "boxes", metrics={"hmean": 0.5, "precision": 0.75, "n": 8.0}))
    assert said["pipeline_tag"] == "object-detection"
    (result,) = said["model-index"][0]["results"]
    assert [(m["type"], m["value"]) for m in result["metrics"]] == [("f1", 50.0), ("precision", 75.0)]
    assert result["task"]["type"] == "object-detection"
    assert said["license"] == "unknown"


@pytest.mark.parametrize(
    ("licences", "name"),
    [
        ([], "unknown"),
        ([OPEN], "that-of-the-data"),
        ([OPEN, UNSAID], "unknown"),
        (["not established here"], "unknown"),
        ([OPEN, RESEARCH], "data-for-research-use"),
        (["restricted: research use; images, crops and shards are not to be passed on", UNSAID],
         "data-for-research-use"),
        (["CC BY-NC 4.0"], "data-for-research-use"),
    ],
)  # fmt: skip
def test_weights_are_never_freer_than_what_they_learnt_from(licences, name):
    data = {f"set{i}-train-00000{i}": {"split": "train", "licence": one} for i, one in enumerate(licences)}
    found = licence({"data": data})
    assert found.get("license_name", found["license"]) == name


@given(
    st.dictionaries(st.text(min_size=1), st.text()),
    st.text(),
    st.lists(st.tuples(st.text(max_size=1), st.text(max_size=1), st.integers(1, 9)), max_size=3),
)
def test_no_text_breaks_the_front_matter_or_a_table(data, name, confusions):
    sets = {
        key: {"split": "train", "licence": said, "samples": 1, "digest": "d"} for key, said in data.items()
    }
    config = told(data=sets, evaluated={name: {**KEPT, "confusions": [list(one) for one in confusions]}})
    text = card(config, 9, HASHES)
    assert text == card(json.loads(json.dumps(config)), 9, HASHES)
    said = front(config)
    assert said["model-index"][0]["results"][0]["dataset"]["name"] == name
    lines = text.split("## Data and licences")[1].split("## Teacher")[0].split("\n")
    rows = [line for line in lines if line.startswith("|")]
    assert {row.replace("\\|", "").count("|") for row in rows} == {6}  # both tables have five columns


def test_people_read_data_teacher_control_failures_and_hashes():
    text = card(told(data=DATA, evaluated={"svt-test-36": KEPT}, **TAUGHT), 1234, HASHES)
    for part in (
        "1,234 parameters", f"| svt-train-0a1b2c | train | 257 | {OPEN} | {'d' * 64} |",
        "| svt-test-36 | 90 | 36 | word accuracy, % | 66.67 [56.42, 75.55] |",
        '- Method nkd: `{"weight": 0.5}`', f"  - weights: {'f' * 64}",
        "- svt-test-36: BETTER than small-control/best: +3.00 [+1.00, +5.00]",
        "right by length, the worst: 12: 3 of 20", "o as 0 (14), l as ∅ (2)",
        f"- model.safetensors: sha256 `{'ab' * 32}`",
    ):  # fmt: skip
        assert part in text, part


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({}, "Nothing is recorded of how the weights were learnt."),
        ({}, "None were recorded. `python -m train.evaluation checkpoint=FOLDER"),
        ({"data": DATA}, "No teacher: the weights were learnt from labels alone."),
        ({"data": DATA, **TAUGHT}, "`small-control`, the same training without the teacher.\n\n- NOT JUDGED"),
        ({"data": DATA, **TAUGHT, "evaluated": {"a": {**KEPT, "verdict": {
            "verdict": "NOT JUDGED", "field": "seed", "against": "small-control/best"}}}},
         "- a: NOT JUDGED: seed differs in the control"),
    ],
)  # fmt: skip
def test_what_is_not_known_is_said_to_be(extra, said):
    assert said in card(told(**extra), 9, HASHES)


def test_only_groups_that_are_weak_and_large_enough_are_told_the_worst_first():
    groups = [["all right", 100, 100], ["weak", 10, 5], ["worse", 10, 1], ["rare", 4, 0], ["fair", 100, 90],
              ["bad", 9, 2], ["poor", 8, 3]]  # fmt: skip
    assert [name for name, *_ in evaluated.weakest(groups)] == ["worse", "bad", "poor"]
    assert evaluated.weakest([["one", 9, 4]]) == []


def test_the_hashes_are_those_of_the_weights_and_stay_true_when_the_folder_is_amended(tmp_path):
    task = recognise.Task(recognise.Settings("36"), ImageSpec())
    torch.manual_seed(0)
    settings = crnn.Settings(channels=[4, 4, 8, 8, 8, 8, 8], map_to_seq=8, rnn_hidden=8)
    model = crnn.Model(settings, task.image, task.channels)
    modelfolder.save(tmp_path, model, task, model_name="crnn", task_name="recognise", extra={})
    for evaluations in ({}, {"svt-test-36": KEPT}):
        modelfolder.amend(tmp_path, lambda _, told=evaluations: {"evaluated": told})
        text = (tmp_path / "README.md").read_text()
        assert f"`{hashlib.sha256((tmp_path / 'model.safetensors').read_bytes()).hexdigest()}`" in text
        assert f"`{modelfolder.weights_digest(tmp_path)}`" in text
        assert ("svt-test-36" in text) == bool(evaluations)


def test_the_packaged_model_has_the_card_that_its_folder_makes(tmp_path):
    config = json.loads((PRETRAINED / "config.json").read_text())
    weights = (PRETRAINED / "model.safetensors").read_bytes()
    hashes = {
        "model.safetensors": hashlib.sha256(weights).hexdigest(),
        "its tensors": modelfolder.weights_digest(PRETRAINED),
    }
    text = card(config, modelfolder.load(PRETRAINED).parameters, hashes)
    assert (PRETRAINED / "README.md").read_text() == text
