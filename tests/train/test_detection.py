"""The meter of detection: what it counts, however scenes reach it."""

import pickle
import random

import pytest

from shards.errors import BadSettings
from shards.sample import Record, Word
from tests.train.test_hmean import picture
from train import boxap, hmean
from train.detection import Meter
from train.tasks import Read


@pytest.fixture
def rows():
    """(uid, predictions, record) of 24 pictures."""
    scenes = [(1000 - seed, picture(random.Random(seed))) for seed in range(24)]
    return [(uid, scene.found, Record(scene.truths, (50, 40), str(uid))) for uid, scene in scenes]


def metered(rows, meter=None):
    meter = meter or Meter()
    if rows:
        meter.update(*zip(*rows, strict=True))
    return meter


def test_figures_depend_on_no_order_batch_or_rank(rows):
    whole = metered(rows)
    wanted = whole.compute()
    mixed = random.Random(0).sample(rows, len(rows))
    assert metered(mixed).compute() == wanted
    ranks = [metered(mixed[k::2]) for k in (0, 1)]
    for one in mixed[:3]:  # a sampler may give a picture to both
        metered([one], ranks[1])
    ranks[0].absorb(pickle.loads(pickle.dumps(ranks[1].entries())))
    assert ranks[0].compute() == wanted
    assert ranks[0].detail() == whole.detail()
    assert 0 < wanted["hmean"] < 1
    assert wanted["n"] == 24
    assert wanted["words"] + wanted["ignored"] == sum(len(record.words) for _, _, record in rows)


def test_what_is_added_after_a_figure_was_asked_counts(rows):
    meter = metered(rows[:5])
    before = meter.compute()
    assert metered(rows[5:], meter).compute() == metered(rows).compute() != before


def test_figures_are_those_of_the_rule_at_the_threshold(rows):
    meter = metered(rows, Meter(threshold=0.3))
    found, sums = meter.compute(), meter.sums()
    assert list(sums) == sorted(uid for uid, _, _ in rows)
    at = hmean.figures(sum(sums.values()))
    assert (found["precision"], found["recall"], found["hmean"]) == (at.precision, at.recall, at.hmean)
    assert found["best_hmean"] == meter.curve().at(found["best_threshold"]).hmean >= found["hmean"]
    assert sum(meter.sums(0.9).values())[2] < sum(sums.values())[2]
    assert found["map50"] >= found["map50_95"] > 0


def test_the_oracle_is_the_score_of_upright_boxes():
    thin = Word("a", ((0, 0), (2, 0), (40, 38), (40, 40), (38, 40), (0, 2)))
    upright = Word("b", ((50, 0), (60, 0), (60, 5), (50, 5)))
    region = Word(None, ((70, 0), (72, 0), (110, 38), (108, 40)), False)
    meter = metered([(1, (), Record((thin, upright, region), (120, 60), "x"))])
    assert meter.compute()["oracle_hmean"] == 0.5
    meter.score_by("ocrdistill")
    assert meter.compute()["oracle_hmean"] == 1.0


def test_a_protocol_is_chosen_by_its_name():
    word = Word(None, ((0, 0), (9, 0), (9, 9), (0, 9)), False)
    meter = metered([(1, (Read(None, word.polygon, score=0.9),), Record((word,), (10, 10), "x"))])
    assert (meter.compute()["words"], meter.compute()["ignored"], meter.compute()["hmean"]) == (0, 1, 0)
    meter.score_by("ocrdistill")
    assert (meter.compute()["words"], meter.compute()["ignored"], meter.compute()["hmean"]) == (1, 0, 1)
    with pytest.raises(BadSettings, match=r"no 'icdar2051'; did you mean 'icdar2015'\? .* ocrdistill"):
        meter.score_by("icdar2051")


def test_the_detail_tells_what_became_of_each_word(rows):
    meter = metered(rows, Meter(threshold=0.4))
    sums = meter.sums()
    for uid, truths, found, judged in meter.detail():
        assert all(word.score >= 0.4 for word in found)
        right, counted, cared = sums[uid]
        assert judged.truths.count("found") == judged.found.count("right") == right
        assert len(truths) - judged.truths.count("ignored") == counted
        assert len(found) - judged.found.count("ignored") == cared


def test_a_picture_without_an_answer_is_missed_and_none_at_all_is_nothing(rows):
    empty = metered([(uid, (), record) for uid, _, record in rows]).compute()
    assert (empty["recall"], empty["hmean"], empty["best_threshold"]) == (0, 0, 1)
    assert Meter().compute()["n"] == 0


def test_detections_without_a_score_count_at_every_threshold_and_nan_is_refused():
    word = Word("a", ((0, 0), (9, 0), (9, 9), (0, 9)))
    assert metered([(1, (word,), Record((word,), (10, 10), "x"))], Meter(0.99)).compute()["hmean"] == 1
    with pytest.raises(ValueError, match="nan"):
        metered([(1, (Read("a", word.polygon, score=float("nan")),), Record((word,), (10, 10), "x"))])


def test_without_pycocotools_the_other_figures_remain(rows, monkeypatch):
    meter = metered(rows)
    wanted = meter.compute()
    monkeypatch.setattr(boxap, "installed", lambda: False)
    assert meter.compute() == {name: v for name, v in wanted.items() if not name.startswith("map")}
