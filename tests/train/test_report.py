"""The report: one file that needs no other, small, and no text in it is code."""

import base64
import json
import re

import pytest

from shards.errors import BadData, BadSettings
from shards.page import LARGEST
from train import report

EVIL = "<script>alert('x')</script>"
FIGURE = {"value": 0.5, "low": 0.4, "high": 0.6}


def run_folder(path, examples=3, png=200, **more):
    """A run folder as the stages leave it, full of text that wants to be code."""
    (path / "eval").mkdir(parents=True)
    (path / "status.json").write_text(json.dumps({"state": "done", "reason": EVIL}))
    (path / "config.yaml").write_text(f"seed: 0  # {EVIL}\n")
    lines = [{"global_step": s, "train/loss": 5 / (s + 1), "perf/images_per_s": 9.0} for s in range(50)]
    lines += [{"global_step": 50, "val/word_acc": 0.5, "val/cer": None}]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"cut')
    mistake = {"truth": EVIL, "prediction": "", "score": 0.9, "png": base64.b64encode(b"x" * png).decode()}
    result = {
        "set": "words-test", "model": "best", "params": 1234567, "mb": 4.9, "n": 32, "verdict": "BETTER",
        "word_acc": FIGURE, "one_minus_ned": FIGURE, "cer": FIGURE, "examples": [mistake] * examples, **more,
    }  # fmt: skip
    (path / "eval" / "words-test-best.json").write_text(json.dumps(result))
    return path


def test_the_page_needs_nothing_else_and_escapes_all_text(tmp_path):
    a = run_folder(tmp_path / "a", difference=0.1, low=0.05, high=0.15, ms_per_word=3.14159)
    b = run_folder(tmp_path / "b")
    report.main([str(a), str(b), f"title={EVIL}"])
    page = (a / "report.html").read_text()
    assert not re.findall(r"https?://", page)
    assert re.findall(r'\bsrc="(?!data:image/png;base64,)|\bhref=|@import|url\(', page) == []
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    assert len(page.encode()) < LARGEST
    text = re.sub(r"\s+", " ", page)
    for told in (
        "1,234,567",
        "50.00 [40.00, 60.00]",
        "+10.00 [+5.00, +15.00] points",
        "3.14",
        "not measured",
    ):
        assert told in text, told
    assert text.count("data:image/png") == 6  # three mistakes a run
    assert text.count("<svg") == 3  # a curve of each key that was logged as a number
    assert text.count('class="line"') == 6  # with a line a run


def test_a_page_that_would_be_too_large_shows_fewer_mistakes(tmp_path):
    a = run_folder(tmp_path / "a", examples=24, png=400_000)
    report.main([str(a)])
    page = (a / "report.html").read_text()
    assert len(page.encode()) <= LARGEST == 5_000_000
    assert 1 <= page.count('<figure class="mistake">') < report.EXAMPLES_SHOWN


def test_a_run_without_evaluation_or_metrics_has_a_page_too(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "status.json").write_text('{"state": "running"}')
    report.main([str(tmp_path / "a"), f"out={tmp_path / 'deep' / 'page.html'}"])
    page = (tmp_path / "deep" / "page.html").read_text()
    assert "python -m train.evaluation" in page
    assert "running" in page


@pytest.mark.parametrize("damage", ["absent", "cut", "lacking"])
def test_what_is_missing_or_damaged_is_named(tmp_path, damage):
    a = run_folder(tmp_path / "a")
    path = a / "status.json" if damage == "absent" else a / "eval" / "words-test-best.json"
    if damage == "absent":
        path.unlink()
    else:
        path.write_text('{"set"' if damage == "cut" else '{"set": "words"}')
    with pytest.raises(BadData, match=path.name):
        report.main([str(a)])


def test_a_run_must_be_named():
    with pytest.raises(BadSettings, match="at least one run folder"):
        report.main([])
