"""The report about many runs, few, old ones and ones that have only begun: it fits, and it is right."""

import json
from pathlib import Path

from shards.page import LARGEST
from train import report


def test_a_page_that_would_be_too_large_shows_fewer_mistakes(run, page):
    text = page(run("a", examples=24, png=400_000))
    assert len(text.encode()) <= LARGEST == 5_000_000
    assert 1 <= text.count('<figure class="mistake">') < 24


def test_many_long_runs_still_fit(run, page):
    folders = [run(f"run{i}", examples=50, png=3000) for i in range(30)]
    for folder in folders:
        with open(folder / "metrics.jsonl", "w") as file:
            for step in range(3000):
                line = {
                    f"train/{key}": step + 0.123456 for key in ("loss", "task", "hard", "lr", "grad_norm")
                }
                file.write(json.dumps({"global_step": step, **line}) + "\n")
    text = page(*folders)
    assert len(text.encode()) <= LARGEST
    assert text.count('<figure class="mistake">') >= 30


def test_all_50_mistakes_are_shown_where_there_is_room(run, page):
    assert page(run("a", examples=50)).count('<figure class="mistake">') == 50


def test_what_an_older_version_left_is_shown(run, page, wrong, result):
    a = run("a")
    (a / "mistakes.json").unlink()
    found = result(a, examples=wrong()["examples"])
    for key in ("word_acc_ics", "damaged", "data"):
        del found[key]
    for example in found["examples"]:
        example.pop("scored", None)
    (a / "eval" / "0-best.json").write_text(json.dumps(found))
    text = page(a)
    assert "run train.evaluation again" in text
    assert text.count('<figure class="mistake">') == 3


def test_a_run_that_has_only_begun_has_a_page_too(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "status.json").write_text('{"state": "running"}')
    report.main([str(tmp_path / "a"), f"out={tmp_path / 'deep' / 'page.html'}"])
    text = (tmp_path / "deep" / "page.html").read_text()
    assert "Nothing has been logged yet" in text
    assert "running" in text


def test_runs_of_one_name_are_told_apart_and_one_given_twice_counts_once(run, tmp_path, page):
    one, two = run("x/a"), run("y/a")
    text = page(one, two, one)
    assert text.count(f"{one}/best</bdi>\n<td>") == 0
    for folder in (one, two):
        assert text.count(f'<tr><td><bdi dir="auto">{folder}/best</bdi></td>') == 1


def test_a_run_folder_may_be_named_from_within(run, monkeypatch):
    monkeypatch.chdir(run("a"))
    report.main(["."])
    assert "a/best" in Path("report.html").read_text()
