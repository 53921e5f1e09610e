"""The card of a model: what the Hub reads of it, what people read; nothing but the folder decides it."""

import hashlib
import json
import re
from dataclasses import asdict
from itertools import pairwise

import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st

from shards.image import ImageSpec
from train import evaluated, modelfolder
from train.card import card
from train.cardtext import code, inline
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


def opened(text):
    """(level, text) of the headings of Markdown, by its lines."""
    body = text.split("\n---\n", 1)[1]
    lines = [line for part in body.split("\n```\n")[::2] for line in part.split("\n")]
    return [
        (len(marks), rest)
        for marks, _, rest in (line.partition(" ") for line in lines)
        if set(marks) == {"#"}
    ]


TITLES = ["Use", "What it sees", "Data and licences", "Results", "Teacher and method", "Control",
          "Known failures", "Calibration", "Note", "Hashes"]  # fmt: skip
EVIL = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from([
        "\n", "\r", "\u2028", "## Licence", "# ", "MIT", "<img src=x>", "<!--", "&lt;", "|", "\\", "`", "``",
        "```", "[a](http://b.c)", "![a](b)", "[a]: /b", "*", "_", "a", "---", "===", " ", "    ", "- ", "1. ",
    ]), max_size=6).map("".join),
)  # fmt: skip


@st.composite
def configs(draw):
    """A config.json in which every text that comes from data is any."""
    counts = st.integers(1, 9)
    pairs = st.lists(st.lists(EVIL, min_size=2, max_size=2), max_size=2)
    weak = st.dictionaries(
        EVIL, st.lists(st.tuples(EVIL, counts, counts), min_size=1, max_size=2), max_size=2
    )
    kept = {
        **KEPT, "weak": draw(weak), "confusions": [[*pair, 3] for pair in draw(pairs)],
        "protocol": draw(EVIL),
        "verdict": draw(st.sampled_from([
            {"verdict": "NOT JUDGED", "field": draw(EVIL), "against": "c/best"},
            {**KEPT["verdict"], "against": "/" + draw(EVIL).replace("\0", "")},
        ])),
        "recogniser": {"name": draw(EVIL), "weights": draw(EVIL)},
    }  # fmt: skip
    data = draw(st.dictionaries(EVIL, EVIL, max_size=2))
    entry = st.one_of(EVIL, st.dictionaries(EVIL, EVIL, max_size=2), st.lists(EVIL, max_size=2))
    return {
        **told(draw(EVIL)), "evaluated": {draw(EVIL): kept},
        "data": {key: {"split": draw(EVIL), "licence": said, "samples": 1, "digest": draw(EVIL)}
                 for key, said in data.items()},
        "method": draw(st.dictionaries(EVIL, entry, max_size=2)),
        "control": draw(st.sampled_from(["", "c", "# c"])),
        "teacher": draw(st.dictionaries(EVIL, entry, max_size=2)), "note": draw(entry),
    }  # fmt: skip


@given(configs())
def test_no_text_opens_a_heading_or_breaks_the_front_matter_or_a_table(config):
    text = card(config, 9, HASHES)
    assert text == card(json.loads(json.dumps(config)), 9, HASHES)
    (name,) = config["evaluated"]
    assert front(config)["model-index"][0]["results"][0]["dataset"]["name"] == name
    first, *titles = opened(text)
    assert first == (1, f"{inline(config['model']['name'])} for recognise")
    assert titles == [(2, title) for title in TITLES]
    lines = text.split("\n## Data and licences\n")[1].split("\n## Teacher")[0].split("\n")
    rows = [line for line in lines if line.startswith("| ") or line.startswith("|---")]
    assert {re.sub(r"\\.", "", row).count("|") for row in rows} == {6}  # both tables have five columns


def test_a_data_set_without_a_licence_is_told_and_frees_nothing():
    data = {**DATA, "own-train-0a1b2c": {"split": "train", "samples": 3, "digest": "d"}, "old": "a digest"}
    text = card(told(data=data), 9, HASHES)
    assert "| own-train-0a1b2c | train | 3 | not stated | d |" in text
    assert "| old |  |  | not stated |  |" in text
    assert front(told(data=data))["license"] == "unknown"


@given(configs())
def test_a_reader_of_markdown_sees_text_and_nothing_else_in_what_comes_from_data(config):
    read = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table").parse
    body = card(config, 9, HASHES).split("\n---\n", 1)[1]
    seen = read(body)
    titles = [after.content for at, after in pairwise(seen) if at.type == "heading_open"]
    assert titles[1:] == TITLES
    kinds = {one.type for one in seen} | {each.type for one in seen for each in one.children or ()}
    assert not kinds & {
        "html_block",
        "html_inline",
        "link_open",
        "image",
        "em_open",
        "strong_open",
        "code_block",
    }
    assert sum(one.type == "fence" for one in seen) == 1
    assert sum(one.type == "table_open" for one in seen) == 1 + bool(config["data"])


@given(EVIL)
def test_a_reader_of_markdown_sees_the_text_itself(text):
    parse = pytest.importorskip("markdown_it").MarkdownIt("commonmark").parseInline
    line = " ".join(text.split())
    for made, kind in ((f"x{inline(text)}", "text"), (code(text), "code_inline")):
        (block,) = parse(made)
        found = "".join(one.content for one in block.children)
        assert {one.type for one in block.children} <= {kind, "text_special"}
        assert found.strip() == (f"x{line}" if kind == "text" else line).replace("\0", "\ufffd").strip()


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
