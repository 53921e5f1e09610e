"""The leaderboard: means, spreads, verdicts that know their noise, and files that say it."""

import csv
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from train import metrics
from train.searching.board import Board
from train.searching.pairing import Words, deviation, over_seeds, over_words, words
from train.searching.ranking import Judge
from train.searching.trials import Trial

COUNT = 400
ODD = "50%_of $a & {b} #1 ~^\\ | <x>"


def read(right, first: int = 0) -> Words:
    return Words(np.arange(first, first + len(right), dtype=np.uint64), np.array(right, dtype=bool))


def share(rng, probability: float) -> Words:
    return read(rng.random(COUNT) < probability)


def test_over_one_seed_the_interval_is_that_of_the_paired_bootstrap():
    rng = np.random.default_rng(0)
    a, b = share(rng, 0.7), share(rng, 0.6)
    found = over_words([a], [b])
    wanted = metrics.paired_bootstrap(a.right, b.right)
    assert found.mean == pytest.approx(wanted.difference)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=0.006)
    assert (found.verdict, found.seeds, found.words) == (wanted.verdict, 1, COUNT)
    assert found.half == pytest.approx((found.high - found.low) / 2)


def test_a_gain_that_only_one_seed_shows_is_not_taken_for_one():
    base, won = read([False] * 100 + [True] * 100), read([True] * 60 + [False] * 40 + [True] * 100)
    steady = [read([True] * 20 + [False] * 80 + [True] * 100)] * 3
    lucky, bases = [won, base, base], [base] * 3
    assert over_words(steady, bases).mean == pytest.approx(over_words(lucky, bases).mean)
    assert over_words(steady, bases).verdict == "BETTER"
    assert over_words(lucky, bases).verdict == "NO DIFFERENCE"


def test_only_words_that_all_have_read_are_compared():
    a, b = read([True] * 10, first=5), read([False] * 10)
    assert (over_words([a], [b]).words, over_words([a], [b]).mean) == (5, 1.0)
    assert over_words([a], [read([True], first=100)]) is None


def test_words_are_put_in_order_by_uid():
    found = words({"ff": True, "0a": False})
    assert (found.uids.tolist(), found.right.tolist()) == ([10, 255], [False, True])


def test_intervals_over_seeds_cover_the_true_mean_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    found = [over_seeds(rng.normal(0.5, 0.1, 3).tolist()) for _ in range(1000)]
    assert 0.93 < np.mean([one.low <= 0.5 <= one.high for one in found]) < 0.97


def test_intervals_over_words_and_seeds_cover_the_true_mean_about_as_often_as_they_say():
    rng, covered = np.random.default_rng(2), 0
    for _ in range(200):
        easy = rng.normal(0, 0.15, COUNT)  # words differ, whoever reads them
        runs = [read(rng.random(COUNT) < 0.5 + easy + rng.normal(0, 0.02)) for _ in range(5)]
        found = over_words(runs)
        covered += found.low <= 0.5 <= found.high
    assert covered / 200 > 0.9


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=40))
def test_an_interval_holds_its_mean(values):
    found = over_seeds(values)
    assert found.low - 1e-12 <= found.mean <= found.high + 1e-12
    assert found.seeds == len(values)


def test_one_seed_tells_no_spread():
    assert over_seeds([0.5]) is None
    assert deviation([0.5]) == 0.0


def trial(method: str, seed: str, score: float | None, **values: str) -> Trial:
    state = "done" if score is not None else "failed"
    known = {} if score is None else {"word_acc": score, "cer": 1 - score}
    values = {"method": method, **values}
    return Trial("-".join([*values.values(), seed]), "e.py", values, values, seed, state=state, metrics=known)


THREE = [
    *(trial("none", str(s), 0.5 + 0.01 * s) for s in range(3)),
    *(trial("good", str(s), 0.6 + 0.01 * s) for s in range(3)),
    *(trial("same", str(s), (0.5, 0.53, 0.51)[s]) for s in range(3)),
    *(trial("bad", str(s), 0.4 + 0.01 * s if s < 2 else None) for s in range(3)),
    trial("lost", "0", None),
]


def test_rows_are_settings_over_seeds_best_first_with_verdicts():
    rows = Judge("word_acc", False, baseline={"method": "none"}).rank(THREE)
    assert [row.label for row in rows] == ["good", "same", "none", "bad", "lost"]
    told = [row.verdict.verdict for row in rows]
    assert told == ["BETTER", "NO DIFFERENCE", "BASELINE", "WORSE", "NOT JUDGED"]
    good, _, _, bad, lost = rows
    assert (good.mean, good.sd) == pytest.approx((0.61, 0.01))
    assert good.verdict.against == "none"
    assert good.verdict.by_seed == pytest.approx((0.1, 0.1, 0.1))
    assert (len(bad.scores), bad.verdict.difference.seeds, len(bad.failed)) == (2, 2, 1)
    assert (lost.scores, len(lost.failed)) == ({}, 1)


def test_where_less_is_better_the_order_and_the_gains_turn_round():
    rows = Judge("cer", True, baseline={"method": "none"}).rank(THREE)
    assert [row.label for row in rows][:2] == ["good", "same"]
    assert (rows[0].verdict.verdict, rows[0].verdict.difference.mean > 0) == ("BETTER", True)


def test_a_row_is_compared_with_the_one_that_differs_in_the_baselines_values_alone():
    some = [
        trial("none", "0", 0.5, model="nano"),
        trial("none", "0", 0.7, model="tiny"),
        trial("good", "0", 0.6, model="nano", weight=".3"),  # a key that the baseline does not have
        trial("good", "0", 0.8, model="huge"),  # none like it: the best of the baseline
    ]
    rows = Judge("word_acc", False, baseline={"method": "none"}).rank(some)
    against = {row.values["model"] + row.values["method"]: row.verdict.against for row in rows}
    assert against == {"hugegood": "none tiny", "tinynone": "", "nanogood": "none nano", "nanonone": ""}
    assert {row.verdict.why for row in rows if row.values["method"] == "good"} == {
        "one seed tells no spread; more seeds, or evaluate=DIR to compare word by word"
    }


@pytest.mark.parametrize(
    ("baseline", "told"), [(None, "baseline=KEY=VALUE names one"), ({"method": "x"}, "no result of the base")]
)
def test_without_a_baseline_nothing_is_judged_and_it_is_said_why(baseline, told):
    for row in Judge("word_acc", False, baseline=baseline).rank(THREE)[:4]:
        assert row.verdict.verdict == "NOT JUDGED"
        assert told in row.verdict.why


def test_with_evaluated_words_one_seed_is_enough_and_seeds_are_matched():
    rng = np.random.default_rng(0)
    answers = {"none-0": share(rng, 0.5), "good-0": share(rng, 0.7), "good-1": share(rng, 0.7)}
    some = [trial("good", "0", 0.7), trial("good", "1", 0.7), trial("none", "0", 0.5)]
    some = [Trial(**{**{f: getattr(t, f) for f in t.__slots__}, "evaluation": evaluation(t)}) for t in some]
    rows = Judge("word_acc", False, "d", {"method": "none"}, lambda t: answers[t.name]).rank(some)
    assert (rows[0].label, rows[0].verdict.verdict) == ("good", "BETTER")
    assert (rows[0].verdict.difference.seeds, rows[0].verdict.difference.words) == (1, COUNT)
    assert rows[0].interval.seeds == 2
    other = Judge("word_acc", False, "another set", {"method": "none"}).rank(some)
    assert not any(row.scores for row in other)


def evaluation(one: Trial) -> dict:
    return {"of": "d", "metrics": {"word_acc": {"value": one.metrics["word_acc"]}}}


def board(metric: str = "word_acc") -> Board:
    return Board(
        metric, "about 50% of_it", ("method",), lambda t: f"python e.py {t.name!r}", lambda t: Path("log")
    )


def odd_rows():
    some = [*THREE, *(trial(ODD, str(s), 0.55) for s in range(2))]
    return Judge("word_acc", False, baseline={"method": "none"}).rank(some)


def test_markdown_and_latex_say_odd_values_as_they_are():
    rows = odd_rows()
    markdown, latex = board().as_markdown(rows), board().as_latex(rows)
    table = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert {len(re.split(r"(?<!\\)\|", line)) for line in table[:6]} == {12}
    assert r"50%\_of $a & {b} \#1 \~^\\ \| \<x\>" in markdown
    assert r"50\%\_of \$a \& \{b\} \#1 \textasciitilde{}\textasciicircum{}\textbackslash{}" in latex
    body = [line for line in latex.splitlines() if line.endswith(r"\\")]
    assert {len(re.split(r"(?<!\\)&", line)) for line in body} == {10}
    assert "log" in markdown.partition("## Failed")[2]
    assert "python e.py 'lost-0'" in markdown.partition("## Commands")[2]


def test_the_csv_holds_fractions_and_commands_that_a_shell_runs():
    rows = list(csv.DictReader(io.StringIO(board().as_csv(odd_rows()))))
    assert (rows[0]["rank"], rows[0]["method"], rows[0]["verdict"]) == ("1", "good", "BETTER")
    assert float(rows[0]["gain"]) == pytest.approx(0.1)
    assert shlex.split(rows[0]["command"])[:4] == ["python", "e.py", "good-0", "&&"]
    assert rows[1]["method"] == ODD
    assert (rows[-1]["rank"], rows[-1]["failed"], rows[-1]["mean"]) == ("", "1", "")


def test_edits_are_shown_as_they_are_and_shares_in_percent():
    assert board().cells(1, odd_rows()[0])[4] == "61.00 ± 1.00"
    assert board("edit_distance_mean").cells(1, odd_rows()[0])[4] == "0.61 ± 0.01"


@pytest.mark.parametrize("rows", [[], odd_rows(), odd_rows() * 12], ids=["none", "some", "many"])
def test_every_file_is_written_whatever_there_is(rows, tmp_path):
    board().write(tmp_path, rows, {"command": "again"})
    assert {p.suffix for p in tmp_path.iterdir()} == {".csv", ".md", ".tex", ".json", ".png"}
    with Image.open(tmp_path / "leaderboard.png") as picture:
        assert min(picture.size) > 200
    found = json.loads((tmp_path / "leaderboard.json").read_text())
    assert (found["format"], found["command"], len(found["rows"])) == (1, "again", len(rows))


def test_notes_say_what_one_seed_is_worth():
    text = board().notes(Judge("word_acc", False, baseline={"method": "none"}).rank(THREE[:4]))
    assert "Not judged: one seed tells no spread" in text
