"""The card of a model: what the Hub reads of it, what people read; nothing but the folder decides it."""

import hashlib
import json

import pytest
import torch
import yaml

from shards.image import ImageSpec
from tests.train.cards import DATA, HASHES, KEPT, OPEN, RESEARCH, TAUGHT, UNSAID, front, told
from train import evaluated, modelfolder
from train.card import card
from train.frontmatter import licence
from train.models import crnn
from train.predict import PRETRAINED
from train.tasks import recognise


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


def test_the_hub_reads_the_data_of_the_weights_that_a_training_began_with():
    begun = {"start": {"weights": "a" * 64, "data": {"mjsynth-train-9f8e7d": {"split": "train"}}}}
    assert front(told(data=DATA, **begun))["datasets"] == ["mjsynth", "svt"]
    unknown = {"start": {"weights": "a" * 64, "data": {}}}
    assert front(told(data=DATA, **unknown))["datasets"] == ["svt"]


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
        ([OPEN, ""], "unknown"),
        (["not established here"], "unknown"),
        ([OPEN, RESEARCH], "data-for-research-use"),
        (["restricted: research use; images, crops and shards are not to be passed on", UNSAID],
         "data-for-research-use"),
        *(([said], "data-for-research-use") for said in (
            "CC BY-NC 4.0", "CC BY-NC4.0", "cc-by-nc-sa-4.0", "non commercial use", "noncommercial",
            "academic use only", "for research purposes only", "research-only",
            "none stated (research use; images and shards are not to be passed on)")),
        *(([said], "unknown") for said in (
            "unknown", "", "unstated", "as you like", "CC BY-ND 4.0", "CC BY-like", "permission of all",
            "not established (perhaps CC BY 4.0)", "made here; fonts, words and photographs keep their own")),
        *(([said], "that-of-the-data") for said in (
            "CC0", "CC-BY-4.0", "CC BY-SA 3.0", "MIT", "Apache-2.0", "Apache License 2.0", "public domain",
            "CC BY 4.0 (as recorded by mmocr; not read on the challenge's page)")),
    ],
)  # fmt: skip
def test_weights_are_never_freer_than_what_they_learnt_from(licences, name):
    data = {f"set{i}-train-00000{i}": {"split": "train", "licence": one} for i, one in enumerate(licences)}
    found = licence({"data": data})
    assert found.get("license_name", found["license"]) == name


def test_a_data_set_without_a_licence_is_told_and_frees_nothing():
    data = {**DATA, "own-train-0a1b2c": {"split": "train", "samples": 3, "digest": "d"}, "old": "a digest"}
    text = card(told(data=data), 9, HASHES)
    assert "| own-train-0a1b2c | train | 3 | not stated | d |" in text
    assert "| old |  |  | not stated |  |" in text
    assert front(told(data=data))["license"] == "unknown"


def test_people_read_data_teacher_control_failures_and_hashes():
    text = card(told(data=DATA, evaluated={"svt-test-36": KEPT}, **TAUGHT), 1234, HASHES)
    for part in (
        "1,234 parameters", f"| svt-train-0a1b2c | train | 257 | {OPEN} | {'d' * 64} |",
        "| svt-test-36 | 90 | 36 | word accuracy, % | 66.67 [56.42, 75.55] |",
        '- Method nkd: `{"weight": 0.5}`', f"  - weights: {'f' * 64}",
        "- svt-test-36: BETTER than small-control/best: +3.00 \\[+1.00, +5.00\\]",
        "right by length, the worst: 12: 3 of 20", "o as 0 (14), l as ∅ (2)",
        f"- model.safetensors: sha256 `{'ab' * 32}`",
    ):  # fmt: skip
        assert part in text, part


def test_of_a_detector_groups_are_told_by_h_and_ways_that_pictures_have_are_advised():
    groups = {"source": [["bank", 25, 12]]}
    text = card(told("yolo", "boxes", evaluated={"a": {**KEPT, "weak": groups, "confusions": []}}), 9, HASHES)
    assert "- a, H-mean, %, by source, the worst: bank: 48.00 of 25 truths and detections\n" in text
    assert "no character" not in text
    advice = card(told("yolo", "boxes"), 9, HASHES)
    assert "card=true by=source` finds" in advice
    assert "length" not in advice.split("## Known failures")[1]
    assert "card=true by=length,source` finds" in card(told(), 9, HASHES)


def test_a_verdict_stands_under_control_only_if_it_is_that_against_the_control():
    beaten = {**KEPT, "verdict": {**KEPT["verdict"], "against": "other/best"}}
    said = "- a: BETTER than other/best: +3.00 \\[+1.00, +5.00\\]"
    for extra in ({}, TAUGHT):
        text = card(told(data=DATA, evaluated={"a": beaten}, **extra), 9, HASHES)
        assert said in text.split("## Results")[1].split("## Teacher")[0]
        assert "other" not in text.split("## Control")[1]
    judged = card(told(data=DATA, evaluated={"a": KEPT}, **TAUGHT), 9, HASHES)
    assert "- a: BETTER than small-control/best" in judged.split("## Control")[1]
    assert judged.count("BETTER") == 1


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({}, "Nothing is recorded of how the weights were learnt."),
        ({}, "None were recorded. `python -m train.evaluation checkpoint=FOLDER"),
        ({"data": DATA}, "No teacher: the weights were learnt from labels alone."),
        ({"data": DATA}, "## Control\n\nNone: no teacher is recorded.\n\n## Known"),
        ({"data": DATA, **TAUGHT, "control": ""},
         "## Control\n\nNone is recorded: what distillation changed is not known.\n\n## Known"),
        ({"data": DATA, "teacher": TAUGHT["teacher"]}, "## Teacher and method\n\n- Teacher, by its weights:"),
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
