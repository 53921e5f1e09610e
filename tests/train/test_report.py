"""The report: one file that needs no other, small, no text in it is code; what is damaged is named."""

import base64
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from shards.errors import BadData, BadSettings
from shards.page import LARGEST
from train import account, report, reportpage

EVIL = "<script>alert('x')</script>"
HEBREW = "\u202eשלום"
ALONE = {"meta", "img", "br"}  # elements without an end


def figure(value: float = 0.5) -> dict[str, float]:
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def wrong(examples: int = 3, png: int = 200) -> dict:
    """What was got wrong, full of text that wants to be code."""
    one = {"uid": "0" * 16, "truth": EVIL, "scored": EVIL, "prediction": HEBREW, "score": 0.9}
    one["png"] = base64.b64encode(b"x" * png).decode()
    return {
        "examples": [one] * examples,
        "confusions": [["a", "a", 9], ["<", HEBREW[0], 3], ["", "&", 1], ["a", "", 1]],
        "lengths": [[4, 20, 11], [5, 12, 5]],
        "by_source": {EVIL: {"n": 20, "right": 11}, "b": {"n": 12, "right": 5}},
    }


def result(folder: Path, **more) -> dict:
    """What train.evaluation leaves."""
    return {
        "set": "words-test", "data": "e" * 64, "model": "best", "checkpoint": f"{folder}/best", "n": 32,
        "params": 1234567, "mb": 4.9, "damaged": 0, "word_acc": figure(), "word_acc_ics": figure(0.625),
        "one_minus_ned": figure(0.75), "cer": figure(0.25), "verdict": "BETTER", "difference": 0.1,
        "low": 0.05, "high": 0.15, "against": "runs/control/best", **more,
    }  # fmt: skip


@pytest.fixture
def run(tmp_path) -> Callable[..., Path]:
    """run(name, state=, evaluations=) makes a run folder; evaluations None: as while training."""

    def make(name: str, state: str = "done", evaluations=({},), examples: int = 3, png: int = 200) -> Path:
        path = tmp_path / name
        (path / "eval").mkdir(parents=True)
        (path / "best").mkdir()
        status = {"state": state, "reason": EVIL, "global_step": 50, "heartbeat": 1.7e9, "best": 0.5}
        (path / "status.json").write_text(json.dumps({**status, "best_step": 1234}))
        (path / "config.yaml").write_text(
            f"seed: 0  # {EVIL}\nrun: {{name: {name}}}\ndata: {{root: [data/w], digest: abc}}\n"
        )
        lines: list[dict] = [{"global_step": 0, "data/infeasible": 37, "data/unlabelled": 0}]
        for step in range(1, 50):
            terms = {"train/loss": 5 / step, "train/task": 4 / step, f"train/{EVIL}": 1.0}
            lines.append({"global_step": step, **terms, "perf/images_per_s": 9.0, "train/grad_norm": None})
        lines += [
            {"global_step": 50, "val/word_acc": 0.5, "val/n": 64.0, "val/cer": None, "ctc/nonfinite": 0}
        ]
        (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + '{"cut')
        (path / "mistakes.json").write_text(json.dumps({"global_step": 50, **wrong(examples, png)}))
        damage = {"global_step": 3, "samples": {"00ff": EVIL}}
        (path / "damaged.jsonl").write_text(json.dumps(damage) + "\n")
        facts = {"split": "train", "digest": "d" * 64, "samples": 20480, "licence": EVIL}
        (path / "best" / "config.json").write_text(json.dumps({"data": {"words-train": facts}}))
        for place, more in enumerate(evaluations):
            found = {**result(path, **wrong(examples, png)), **more}
            (path / "eval" / f"{place}-best.json").write_text(json.dumps(found))
        return path

    return make


def page(*arguments) -> str:
    report.main([str(argument) for argument in arguments])
    return (arguments[0] / "report.html").read_text(encoding="utf-8")


def plain(html: str) -> str:
    """Its text."""
    return re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", html))


class Nesting(HTMLParser):
    """Fails on what does not nest, ids given twice, and pictures or drawings without words for them."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        assert len(given) == len(attrs)
        self.ids += [given["id"]] if given.get("id") else []
        self.links += [given["href"]] if given.get("href") else []
        assert tag != "img" or given["alt"]
        assert tag != "svg" or given["aria-label"]
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, self.getpos()


def test_the_page_needs_nothing_else_and_no_text_is_code(run):
    a, b = run("a", evaluations=[{"ms_per_word": 3.14159}]), run("b")
    text = page(a, b, f"title={EVIL}")
    assert not re.findall(r"https?://", text)
    assert re.findall(r'\b(?:src|href)="(?!data:image/png;base64,|#)|@import|url\(', text) == []
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "\u202e" not in text
    assert len(text.encode()) < LARGEST
    for told in ("1,234,567", "50.00 [40.00, 60.00]", "62.50 [52.50, 72.50]", "0.7500 [0.6500, 0.8500]",
                 "BETTER than control/best: +10.00 [+5.00, +15.00]", "3.14", "not measured", "20,480",
                 "55.00 [34.21, 74.18]", "all settings"):  # fmt: skip
        assert told.lower() in plain(text).lower(), told


def test_the_page_is_well_formed_and_its_links_lead_somewhere(run):
    parser = Nesting()
    parser.feed(page(run("a"), run("b", "running", ())))
    parser.close()
    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    assert {link.removeprefix("#") for link in parser.links} <= set(parser.ids)
    assert len(parser.links) == 5


def test_every_set_has_its_own_table_even_where_names_are_given_twice(run):
    sets = [{}, {"set": "other-test"}, {"data": "f" * 64}]
    text = page(run("a", evaluations=sets), run("b", evaluations=sets[:1]))
    assert text.count('<table class="results">') == 3
    heads = re.findall(r'<h3><bdi dir="auto">([^<]*)</bdi></h3>\s*<p class="note">32 words, data (\w+)', text)
    assert heads == [("words-test", "e" * 12), ("other-test", "e" * 12), ("words-test", "f" * 12)]
    assert text.count('aria-label="Word accuracy, % by size"') == 1  # where there are two to compare


def test_accuracy_is_drawn_by_size_latency_and_length(run):
    fast, slow = ({"ms_per_word": speed, "params": n} for speed, n in ((1.0, 1000), (10.0, 100_000)))
    text = page(run("a", evaluations=[fast]), run("b", evaluations=[slow]))
    for chart in ("by size", "by latency"):
        drawn = re.search(f'aria-label="Word accuracy, % {chart}">(.*?)</svg>', text, re.S)
        assert drawn
        assert drawn[1].count("<circle") == 2
    assert "a/best, 4 characters: 11 of 20" in text
    # one comparison, and one beside each model's mistakes
    assert text.count('aria-label="Word accuracy, % by length"') == 3


def test_what_is_not_judged_says_which_setting_differs_and_both_values(run):
    differing = {"verdict": "NOT JUDGED", "field": "fit.epochs", "values": [4, EVIL], "difference": None}
    missing = {"verdict": "NOT JUDGED", "against": "runs/gone/best", "set": "b"}
    text = plain(page(run("a", evaluations=[differing, missing])))
    assert "NOT JUDGED: fit.epochs is 4, in the control &lt;script&gt;" in text
    assert "fit.epochs is 4, in its control runs/control/best it is &lt;script&gt;" in text
    assert "there is no control runs/gone/best; train it with method=none" in text


def test_what_differs_between_truth_and_reading_is_marked(run):
    example = {"uid": "1", "score": 0.5, "png": "eA=="}
    examples = [
        {**example, "truth": "Hallo", "scored": "hallo", "prediction": "hello"},
        {**example, "truth": "word", "scored": "word", "prediction": ""},
        {**example, "truth": "old", "prediction": "cold"},  # of a version that did not write `scored`
    ]
    text = page(run("a", evaluations=[{"examples": examples}]))
    assert "H<mark>a</mark>llo</bdi>" in text
    assert "h<mark>e</mark>llo</bdi>" in text
    assert '<bdi dir="auto"><mark>word</mark></bdi>' in text
    assert "<i>nothing</i>" in text
    assert "<mark>c</mark>old</bdi>" in text


def test_loss_terms_have_a_chart_each_and_what_is_always_0_is_said(run):
    text = page(run("a"), run("b"))
    titles = re.findall(r'aria-label="([^"]*)"', text)
    for title in ("Loss that is minimised", "Loss by term: task", "Loss by term: &lt;script&gt;"):
        assert sum(found.startswith(title) for found in titles) == 1, title
    drawn = re.search('aria-label="Loss that is minimised">(.*?)</svg>', text, re.S)
    assert drawn
    assert drawn[1].count('class="line"') == 2
    assert "Gradient norm" not in text  # was never finite
    assert "0 all the time: Steps skipped so far" in text


def test_a_run_that_is_not_evaluated_shows_what_its_training_got_wrong(run, capsys):
    a = run("a", "running", ())
    text = page(a)
    assert "Mistakes of" in text
    assert "its validation words, training, step 50" in text
    assert text.count('<figure class="mistake">') == 3
    assert "50.00 [38.10, 61.90]" in text  # 32 of 64
    told = f"python -m train.evaluation checkpoint={a}/best data.root=data/w"
    assert told in text
    assert f"next: {told}" in capsys.readouterr().out


@pytest.mark.parametrize(("state", "loud"), [("running", True), ("failed", True), ("done", False)])
def test_a_run_that_is_not_done_says_so_at_the_top(run, state, loud):
    top = page(run("a", state)).split('<h2 id="results">')[0]
    assert (f": {state}, step 50" in plain(top)) == loud
    assert ("&lt;script&gt;" in top.split("<nav")[1]) == loud


def test_data_damage_and_what_could_not_teach_are_told(run):
    damage = {"damaged": 2, "damage": {"00aa": "cut short"}}
    text = plain(page(run("a", evaluations=[damage]), run("b")))
    assert "2 damaged, counted as missed" in text
    assert "00aa cut short" in text
    assert "00ff &lt;script&gt;" in text
    assert "a, b training words-train train 20,480 dddddddddddd" in text
    assert "run infeasible unlabelled a 37 0 b 37 0" in text
    assert "setting a b run.name a b" in text


def test_a_page_that_would_be_too_large_shows_fewer_mistakes(run):
    text = page(run("a", examples=24, png=400_000))
    assert len(text.encode()) <= LARGEST == 5_000_000
    assert 1 <= text.count('<figure class="mistake">') < 24


def test_many_long_runs_still_fit(run):
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


def test_all_50_mistakes_are_shown_where_there_is_room(run):
    assert page(run("a", examples=50)).count('<figure class="mistake">') == 50


def test_what_an_older_version_left_is_shown(run):
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


def test_runs_of_one_name_are_told_apart_and_one_given_twice_counts_once(run, tmp_path):
    one, two = run("x/a"), run("y/a")
    text = page(one, two, one)
    assert text.count(f"{one}/best</bdi>\n<td>") == 0
    for folder in (one, two):
        assert text.count(f'<tr><td><bdi dir="auto">{folder}/best</bdi></td>') == 1


def test_a_run_folder_may_be_named_from_within(run, monkeypatch):
    monkeypatch.chdir(run("a"))
    report.main(["."])
    assert "a/best" in Path("report.html").read_text()


FILES = ("status.json", "mistakes.json", "config.yaml", "eval/0-best.json", "best/config.json")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", [b'{"set": "wo', b"\xff\xfe\x00", b"[1, 2]"])
def test_a_damaged_file_is_named(run, name, content):
    a = run("a")
    (a / name).write_bytes(content)
    with pytest.raises(BadData, match=Path(name).name):
        page(a)


@pytest.mark.parametrize("line", ["3", "{}", '{"global_step": "x"}'])
def test_a_line_that_is_none_of_metrics_is_named(run, line):
    a = run("a")
    with open(a / "metrics.jsonl", "w") as file:
        file.write('{"global_step": 0}\n' + line + "\n")
    with pytest.raises(BadData, match=r"metrics.jsonl, line 2"):
        page(a)


def test_lines_after_a_damaged_one_are_left_out_and_the_page_says_so(run):
    a = run("a")
    lines = (a / "metrics.jsonl").read_text().splitlines()
    (a / "metrics.jsonl").write_text("\n".join([*lines[:20], '{"glo', *lines[20:-1]]) + "\n")
    assert "metrics.jsonl: line 21 is damaged, 32 lines are left out" in page(a)


def places(value, path=()):
    """The paths of everything in a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


@pytest.mark.parametrize("name", ["status.json", "mistakes.json", "eval/0-best.json", "best/config.json"])
def test_whatever_stands_in_a_file_gives_a_page_or_names_the_file(run, name):
    a = run("a", evaluations=[wrong(1)] if name.startswith("eval") else (), examples=1)
    whole, other = (a / name).read_text(), account.read([run("b", examples=1)])
    outcomes = set()
    for place, path in enumerate(places(json.loads(whole))):
        for value in (None, "\ud800", -1, 1e308, float("nan"), [1], {"a": 1})[place % 2 :: 2]:
            found = json.loads(whole)
            inner = found
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
            (a / name).write_text(json.dumps(found))
            try:
                outcomes.add("page" if reportpage.draw([*account.read([a]), *other], "") else "")
            except BadData as error:
                outcomes.add("named" if Path(name).name in str(error) else f"not named: {path} = {value!r}")
            except Exception as error:
                raise AssertionError(f"{path} = {value!r}") from error
    assert outcomes in ({"page"}, {"page", "named"})


@pytest.mark.parametrize(
    ("place", "says"),
    [("nowhere", "no such folder"), (".", "runs in it: a"), ("a/best", "a is one"), ("a/eval", "a is one")],
)
def test_a_folder_that_is_no_run_is_refused(run, tmp_path, place, says):
    run("a")
    with pytest.raises(BadData, match=rf"no status.json, so not a run folder.*{says}"):
        report.main([str(tmp_path / place)])


def test_a_run_must_be_named():
    with pytest.raises(BadSettings, match="at least one run folder"):
        report.main([])
