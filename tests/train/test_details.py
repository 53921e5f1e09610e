"""What stands behind readings: frames spell the text, spans are where they say, alternatives are the best."""

import itertools
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shards.errors import BadSettings
from shards.image import ImageSpec
from tests.train.exhaustive import ABC, all_readings, lines
from train import decoders, details
from train.charset import Charset
from train.models import Output
from train.tasks import Detail, Read
from train.tasks.recognise import Settings, Task

COLUMNS = 40
CASES = {"steps": st.integers(1, 6), "scale": st.floats(0.2, 12), "seed": st.integers(0, 9999)}
READERS = {
    "greedy": {"name": "greedy"},
    "beam": {"name": "beam", "cut": 0.0},
    "certified": {"name": "certified", "cut": 0.0},
}


def told(logits, decoder="greedy", raw=True, topk=0, steps=None):
    asked = details.Asked(raw, topk, COLUMNS)
    return asked.of(decoders.make(decoders.stored(READERS[decoder]), ABC), ABC, Output(logits, steps=steps))


def collapsed(raw):
    return "".join(sign for sign, _ in itertools.groupby(raw) if sign != details.SILENT)


@settings(max_examples=60, deadline=None)
@given(**CASES, decoder=st.sampled_from(sorted(READERS)))
def test_spans_are_in_order_inside_the_canvas_and_one_for_each_character(steps, scale, seed, decoder):
    for reading, detail in told(lines(3, steps, 4, scale, seed), decoder):
        assert len(detail.raw) == steps
        assert len(detail.spans) == len(reading.symbols)
        ends = [x for span in detail.spans for x in span]
        assert ends == sorted(ends)
        assert all(0 <= start < end <= COLUMNS for start, end in detail.spans)
        if decoder == "greedy":
            assert collapsed(detail.raw) == ABC.decode(reading.symbols)
            for (start, end), symbol in zip(detail.spans, reading.symbols, strict=True):
                own = detail.raw[round(start * steps / COLUMNS) : round(end * steps / COLUMNS)]
                assert set(own) == {ABC.decode([symbol])}


def test_a_line_of_known_steps_is_shown_as_it_is():
    wanted = [0, 1, 1, 0, 1, 2, 2, 0]
    logits = 9.0 * torch.nn.functional.one_hot(torch.tensor([wanted]), 4)
    ((reading, detail),) = told(logits)
    assert (ABC.decode(reading.symbols), detail.raw) == ("aab", "-aa-abb-")
    assert detail.spans == ((5, 15), (20, 25), (25, 35))
    ((_, shorter),) = told(logits, steps=torch.tensor([6]))
    assert shorter.raw == "-aa-ab"
    ((_, silent),) = told(9.0 * torch.eye(4)[[0, 0]][None])
    assert (silent.raw, silent.spans) == ("--", ())


@settings(max_examples=60, deadline=None)
@given(**CASES, decoder=st.sampled_from(["beam", "certified"]), topk=st.integers(1, 9))
def test_alternatives_are_the_most_probable_of_all_texts(steps, scale, seed, decoder, topk):
    logits = lines(3, steps, 4, scale, seed)
    for line, (reading, detail) in zip(logits, told(logits, decoder, False, topk), strict=True):
        scores = {ABC.decode(symbols): np.exp(score) for symbols, score in all_readings(line).items()}
        texts = [one.text for one in detail.alternatives]
        assert texts[0] == ABC.decode(reading.symbols)
        assert len(set(texts)) == len(texts) == min(topk, len(scores))
        others = [one.probability for one in detail.alternatives[1:]]
        assert others == sorted(others, reverse=True)
        for one in detail.alternatives:
            assert one.probability == pytest.approx(scores[one.text], rel=1e-3, abs=1e-6)
        if steps <= 3:  # of so few readings a beam of 10 loses none of the first
            best = sorted(scores.values(), reverse=True)[:topk]
            assert sorted((scores[text] for text in texts), reverse=True) == pytest.approx(best, rel=1e-3)


def test_classes_of_one_character_make_one_text():
    twice, logits = Charset("aba"), lines(1, 3, 4)
    asked = details.Asked(False, 9, COLUMNS)
    ((_, detail),) = asked.of(decoders.make(decoders.stored("beam"), twice), twice, Output(logits))
    scores = Counter()
    for symbols, score in all_readings(logits[0]).items():
        scores[twice.decode(symbols)] += np.exp(score)
    texts = [one.text for one in detail.alternatives]
    assert len(set(texts)) == len(texts)
    assert all(0 < one.probability <= scores[one.text] + 1e-6 for one in detail.alternatives)


def test_a_broken_line_has_no_probable_text():
    logits = lines(2, 4, 4)
    logits[0, 2] = torch.nan
    (_, broken), (_, sound) = told(logits, "beam", True, 2)
    assert [one.probability for one in broken.alternatives] == [0.0] * len(broken.alternatives)
    assert sound.alternatives[0].probability > 0


def test_a_lexicon_offers_its_words_and_greedy_nothing(tmp_path):
    (tmp_path / "words.txt").write_text("ab abc cab")
    logits = lines(4, 6, 4)
    decoder = decoders.make(decoders.stored({"name": "lexicon", "words": str(tmp_path / "words.txt")}), ABC)
    for _, detail in details.Asked(False, 3, COLUMNS).of(decoder, ABC, Output(logits)):
        assert {one.text for one in detail.alternatives} == {"ab", "abc", "cab"}
    task = Task(Settings(characters="abc"), ImageSpec())
    with pytest.raises(BadSettings, match="knows one text alone; decoder=beam, certified, lexicon know"):
        task.detailed(False, 3)


def test_the_temperature_makes_probabilities_softer_and_changes_no_text():
    logits = lines(3, 5, 4, 6.0)
    decoder = decoders.make(decoders.stored("beam"), ABC)
    sure, soft = (
        details.Asked(False, 2, COLUMNS, temperature).of(decoder, ABC, Output(logits))
        for temperature in (1.0, 4.0)
    )
    for (_, one), (_, other) in zip(sure, soft, strict=True):
        assert [a.text for a in one.alternatives] == [a.text for a in other.alternatives]
        assert one.alternatives[0].probability > other.alternatives[0].probability


@given(
    w=st.integers(1, 900), h=st.integers(1, 300), fit=st.sampled_from(["stretch", "keep", "letterbox"]),
    cuts=st.lists(st.floats(0, 100), min_size=2, max_size=8),
)  # fmt: skip
def test_spans_of_the_canvas_become_spans_of_the_picture(w, h, fit, cuts):
    spec = ImageSpec(fit=fit)
    spans = tuple(itertools.pairwise(sorted(cuts)))
    read = details.placed(Read("a", detail=Detail(spans=spans)), spec.affine(w, h), w)
    ends = [x for span in read.detail.spans for x in span]
    assert ends == sorted(ends)
    assert all(0 <= x <= w for x in ends)
    left, _, width, _ = spec.placement(w, h)
    whole = details.placed(Read("a", detail=Detail(spans=((left, left + width),))), spec.affine(w, h), w)
    assert whole.detail.spans == ((0.0, float(w)),)
