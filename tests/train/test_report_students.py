"""The report about students: who taught whom, how close they came, which words their teacher changed."""

import base64
import json
import re
import shutil
from pathlib import Path

import pytest
import torch

from shards.errors import BadData
from shards.image import ImageSpec
from shards.page import LARGEST
from train import account, changes, modelfolder, reportpage
from train.models import crnn
from train.tasks import recognise

EVIL = "<script>alert('x')</script>"
SMALL = crnn.Settings(channels=[4, 4, 4, 4, 4, 4, 8], map_to_seq=8, rnn_hidden=8)


def save(folder: Path, seed: int = 0, **extra) -> str:
    """A model folder in place of the one that stands there; returns the digest of its weights."""
    shutil.rmtree(folder, ignore_errors=True)
    torch.manual_seed(seed)
    task = recognise.Task(recognise.Settings(), ImageSpec())
    model = crnn.Model(SMALL, task.image, task.channels)
    modelfolder.save(folder, model, task, model_name="crnn", task_name="recognise", extra=extra)
    return modelfolder.weights_digest(folder)


@pytest.fixture
def family(run) -> list[Path]:
    """A teacher, its student, and the student's control."""
    teacher, student, control = run("big"), run("small"), run("small-control")
    weights = save(teacher / "best")
    story = {"method": {"hard": {"weight": 0.5}}, "control": "small-control", "teacher": {"weights": weights}}
    save(student / "best", 1, **story)
    save(control / "best", 2, method={})
    return [teacher, student, control]


def plain(html: str) -> str:
    """Its text."""
    return re.sub(r"\s+(?=[,;.])", "", re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html)))


def word(kind: str = changes.HELPED, png: int = 200, **more) -> dict:
    """A word that a teacher changed, full of text that wants to be code."""
    steps = [["a", 0.62, "<", 0.31], ["", 0.99], ["\u202e", 0.5, "", 0.4]]
    return {
        "format": 1, "uid": "0" * 16, "truth": EVIL, "scored": EVIL, "kind": kind, "of": 77,
        "png": base64.b64encode(b"x" * png).decode(),
        "student": {"text": EVIL, "confidence": 0.98, "steps": steps},
        "control": {"text": "<b>", "confidence": 0.31},
        "teacher": {"text": "abc", "confidence": 0.5, "steps": [["b", 1.0]] * 5}, **more,
    }  # fmt: skip


def keep(folder: Path, *words: dict) -> Path:
    (folder / changes.NAME).write_text("".join(json.dumps(one) + "\n" for one in words))
    return folder


def test_teacher_student_and_control_are_marked_where_they_are_on_the_page(family, page):
    text = page(*family)
    told = plain(text)
    assert "small is a student of big/best by hard; its control is small-control." in told
    rows = re.findall(r"<tr><td>(.*?)</td>", text, re.S)
    found = [plain(row).split() for row in rows]
    assert ["big/best", "teacher", "of", "small"] in found
    assert ["small/best", "student"] in found
    assert ["small-control/best", "control", "of", "small"] in found


def test_a_teacher_and_a_control_that_are_not_on_the_page_are_named(family, page):
    told = plain(page(family[1]))
    assert re.search(r"small is a student of weights \w{12}, not on this page by hard", told)
    assert "its control is small-control, not on this page" in told


def test_the_teachers_of_an_ensemble_are_all_told(family, run, page):
    other = run("other")
    weights = [modelfolder.weights_digest(family[0] / "best"), save(other / "best", 5)]
    save(family[1] / "best", 1, method={"hard": {}}, teacher={"teachers": [{"weights": w} for w in weights]})
    assert "small is a student of big/best, other/best by hard." in plain(page(*family, other))


def test_a_run_that_nobody_taught_is_not_hashed_and_half_a_model_is_no_teacher(family, run, page):
    (family[0] / "best" / "model.safetensors").write_bytes(b"cut")
    assert "not on this page by hard" in plain(page(*family))
    assert "is a student" not in page(run("alone"))


def test_closeness_to_a_teacher_or_why_it_is_unknown_stands_below_the_results(run, page):
    share = {"value": 0.955, "low": 0.951, "high": 0.959}
    near = dict.fromkeys(("agreement", "kl", "blank", "peak_shift"), share)
    a = run("a", evaluations=[{"fidelity": {"teacher": "/x/runs/big/best", "n": 9, **near}}])
    b = run("b", evaluations=[{"fidelity": {"teacher": "runs/big/best", "why": f"steps: {EVIL}"}}])
    text = page(a, b, run("c"))
    told = plain(text)
    assert "a/best to big/best 95.50 [95.10, 95.90] 95.50 [95.10, 95.90] 0.955 [0.951, 0.959] 0.95" in told
    assert "b/best to big/best steps: &lt;script&gt;" in told
    assert "Closeness" not in page(run("d"))


def test_words_that_distillation_changed_are_shown_with_readings_and_steps(run, page):
    hurt = word(changes.HURT, truth="Word", scored="word", of=1, student={"text": "", "confidence": 0.2})
    del hurt["teacher"]
    text = page(keep(run("a"), word(), word(), hurt))
    told = plain(text)
    assert "2 of 77 words helped: the student is right, its control is not" in told
    assert "1 of 1 words hurt: the control is right" in told
    assert text.count('<figure class="change">') == 3
    assert "<script" not in text
    assert "\u202e" not in text
    strips = re.findall(r'<div class="strip (\w+)" role="img" aria-label="([^"]*)">(.*?)</div>', text)
    assert [(name, cells.count("<i")) for name, _, cells in strips] == [("teacher", 5), ("student", 3)] * 2
    assert strips[1][1] == "student, step by step: a · \\u202e"
    assert '<i style="--p:0.62" title="step 1: a 62 %, &lt; 31 %">a<small>&lt;</small></i>' in strips[1][2]
    assert '<i class="blank" style="--p:0.99" title="step 2: blank 99 %">·</i>' in strips[1][2]
    assert "<mark>Word</mark>" in text  # all that the student missed
    assert "<i>nothing</i>" in text
    assert 'href="#changes-1"' in text


def test_a_kind_without_words_says_so_and_a_run_without_the_file_says_nothing(run, page):
    assert "No words hurt" in plain(page(keep(run("a"), word())))
    assert "distillation changed" not in page(run("b"))


def test_a_page_with_many_large_words_still_fits(run, page):
    helped, hurt = [word(png=40_000)] * 50, [word(changes.HURT, 40_000)] * 50
    text = page(keep(run("a", examples=50, png=9000), *helped, *hurt))
    assert len(text.encode()) <= LARGEST
    assert 20 <= text.count('<figure class="change">') < 100


def places(value, path=()):
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


def test_whatever_stands_in_the_file_gives_a_page_or_names_the_file(run):
    a, outcomes = run("a", evaluations=(), examples=0), set()
    for place, path in enumerate(places(word())):
        for value in (None, "\ud800", -1, 1e308, float("nan"), [1], {"a": 1})[place % 2 :: 2]:
            found = word()
            inner = found
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            keep(a, found)
            try:
                reportpage.draw(account.read([a]), "")
            except BadData as error:
                outcomes.add("named" if "examples.jsonl" in str(error) else f"not named: {path} = {value!r}")
    assert outcomes == {"named"}


@pytest.mark.parametrize("tail", ["{}", '{"uid": "1"', "[1]", "3"])
def test_a_line_that_is_no_word_is_named(run, page, tail):
    a = keep(run("a"), word())
    with open(a / changes.NAME, "a") as file:
        file.write(tail + "\n")
    with pytest.raises(BadData, match=r"examples.jsonl: not words that a teacher changed"):
        page(a)
