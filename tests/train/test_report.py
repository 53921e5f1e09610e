"""The report: one file that needs no other, well formed, no text in it is code; it tells what it should."""

import re
from html.parser import HTMLParser

import pytest

from shards.page import LARGEST

EVIL = "<script>alert('x')</script>"
ALONE = {"meta", "img", "br"}  # elements without an end


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


def test_the_page_needs_nothing_else_and_no_text_is_code(run, page):
    a, b = run("a", evaluations=[{"ms_per_image": 3.14159}]), run("b")
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


def test_the_page_is_well_formed_and_its_links_lead_somewhere(run, page):
    parser = Nesting()
    parser.feed(page(run("a"), run("b", "running", ())))
    parser.close()
    assert parser.open == []
    assert len(set(parser.ids)) == len(parser.ids)
    assert {link.removeprefix("#") for link in parser.links} <= set(parser.ids)
    assert len(parser.links) == 5


def test_every_set_has_its_own_table_even_where_names_are_given_twice(run, page):
    sets = [{}, {"set": "other-test"}, {"data": "f" * 64}]
    text = page(run("a", evaluations=sets), run("b", evaluations=sets[:1]))
    assert text.count('<table class="results">') == 3
    told = r'<h3><bdi dir="auto">([^<]*)</bdi></h3>\s*<p class="note">32 samples, data (\w+)'
    heads = re.findall(told, text)
    assert heads == [("words-test", "e" * 12), ("other-test", "e" * 12), ("words-test", "f" * 12)]
    assert text.count('aria-label="Word accuracy, % by size"') == 1  # where there are two to compare


def test_accuracy_is_drawn_by_size_latency_and_length(run, page):
    fast, slow = ({"ms_per_image": speed, "params": n} for speed, n in ((1.0, 1000), (10.0, 100_000)))
    text = page(run("a", evaluations=[fast]), run("b", evaluations=[slow]))
    for chart in ("by size", "by latency"):
        drawn = re.search(f'aria-label="Word accuracy, % {chart}">(.*?)</svg>', text, re.S)
        assert drawn
        assert drawn[1].count("<circle") == 2
    assert "a/best, 4 characters: 11 of 20" in text
    # one comparison, and one beside each model's mistakes
    assert text.count('aria-label="Word accuracy, % by length"') == 3


def test_what_is_not_judged_says_which_setting_differs_and_both_values(run, page):
    differing = {"verdict": "NOT JUDGED", "field": "fit.epochs", "values": [4, EVIL], "difference": None}
    missing = {"verdict": "NOT JUDGED", "against": "runs/gone/best", "set": "b"}
    text = plain(page(run("a", evaluations=[differing, missing])))
    assert "NOT JUDGED: fit.epochs is 4, in the control &lt;script&gt;" in text
    assert "fit.epochs is 4, in its control runs/control/best it is &lt;script&gt;" in text
    assert "there is no control runs/gone/best; train it with method=none" in text


def test_what_differs_between_truth_and_reading_is_marked(run, page):
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


def test_loss_terms_have_a_chart_per_run_and_what_is_always_0_is_said(run, page):
    text = page(run("a"), run("b"))
    titles = re.findall(r'aria-label="([^"]*)"', text)
    for title in ("Loss that is minimised", *(f"Loss by term, before its weight: {name}" for name in "ab")):
        assert titles.count(title) == 1, title
        drawn = re.search(f'aria-label="{title}">(.*?)</svg>(.*?)</figure>', text, re.S)
        assert drawn
        assert drawn[1].count('class="line"') == 2
        assert ("&lt;script&gt;" in drawn[2]) == ("term" in title)
    assert "Gradient norm" not in text  # was never finite
    assert "0 all the time: Steps skipped so far" in text


def test_a_run_that_is_not_evaluated_shows_what_its_training_got_wrong(run, capsys, page):
    a = run("a", "running", ())
    text = page(a)
    assert "Mistakes of" in text
    assert "its validation words, training, step 50" in text
    assert text.count('<figure class="mistake">') == 3
    assert "50.00" in text
    assert "word_acc" in text
    told = f"python -m train.evaluation checkpoint={a}/best data.root=data/w"
    assert told in text
    assert f"next: {told}" in capsys.readouterr().out


@pytest.mark.parametrize(("state", "loud"), [("running", True), ("failed", True), ("done", False)])
def test_a_run_that_is_not_done_says_so_at_the_top(run, state, loud, page):
    top = page(run("a", state)).split('<h2 id="results">')[0]
    assert (f": {state}, step 50" in plain(top)) == loud
    assert ("&lt;script&gt;" in top.split("<nav")[1]) == loud


def test_data_damage_and_what_could_not_teach_are_told(run, page):
    damage = {"damaged": 2, "damage": {"00aa": "cut short"}}
    text = plain(page(run("a", evaluations=[damage]), run("b")))
    assert "2 damaged, counted as missed" in text
    assert "00aa cut short" in text
    assert "00ff &lt;script&gt;" in text
    assert "a, b training words-train train 20,480 dddddddddddd" in text
    assert "run infeasible unlabelled a 37 0 b 37 0" in text
    assert "setting a b run.name a b" in text
