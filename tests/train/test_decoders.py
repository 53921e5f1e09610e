"""Every decoder against exhaustive search, and what none of them may do."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from shards import lookup
from tests.train.exhaustive import ABC, all_readings, lines, near_best
from train import decoders, kneserney
from train.charset import Charset
from train.decode import Greedy, greedy, read
from train.decoders import beam, certified, lexicon

CASES = {
    "steps": st.integers(1, 5),
    "scale": st.floats(0.2, 12),
    "seed": st.integers(0, 9999),
}
WORDS = ["a", "ab", "abc", "cab", "bb", "cc", "aaa", "b"]


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    path = tmp_path_factory.mktemp("lexicon") / "words.txt"
    path.write_text("\n".join(WORDS))
    return str(path)


@pytest.fixture(scope="module")
def ngram(tmp_path_factory):
    path = tmp_path_factory.mktemp("ngram") / "abc.ngram"
    kneserney.save(kneserney.fit([*WORDS, "abba", "caba"], ABC, 3)[0], path)
    return str(path)


@pytest.fixture(scope="module")
def every(words):
    """One of each member, for charset 36 or another of the same letters."""

    def make(charset):
        more = {"lexicon": {"words": words}}
        return {
            name: decoders.make(decoders.stored({"name": name, **more.get(name, {})}), charset)
            for name in lookup.members("train.decoders")
        }

    return make


@settings(max_examples=60, deadline=None)
@given(**CASES, width=st.sampled_from([1, 3, 400]))
def test_what_is_certified_is_the_best_of_all(steps, scale, seed, width):
    logits = lines(3, steps, 4, scale, seed)
    found = read(certified.Decoder(certified.Settings(width, cut=0), ABC), logits)
    for line, reading in zip(logits, found, strict=True):
        scores = all_readings(line)
        if reading.certified or width == 400:
            assert near_best(reading.symbols, scores)
        if scores[reading.symbols] > np.log(0.501):
            assert reading.certified
        elif scores[reading.symbols] < np.log(0.5):
            assert not reading.certified


@pytest.mark.parametrize("search", ["own", "as installed"])
@settings(max_examples=40, deadline=None)
@given(**CASES)
def test_a_wide_beam_finds_the_best_of_all(search, steps, scale, seed):
    decoder = beam.Decoder(beam.Settings(width=400, cut=0), ABC)
    if search == "own":
        decoder.search = beam.own
    logits = lines(3, steps, 4, scale, seed)
    for line, reading in zip(logits, read(decoder, logits), strict=True):
        assert near_best(reading.symbols, all_readings(line))


@settings(max_examples=60, deadline=None)
@given(**CASES, width=st.sampled_from([1, 3, 400]))
def test_the_lexicon_gives_its_best_word_and_says_when_that_is_sure(words, steps, scale, seed, width):
    decoder = lexicon.Decoder(lexicon.Settings(words, width), ABC)
    logits = lines(3, steps, 4, scale, seed)
    for line, reading in zip(logits, read(decoder, logits), strict=True):
        scores = {k: v for k, v in all_readings(line).items() if k in decoder.words}
        assert reading.symbols in scores
        if reading.certified or width == 400:
            assert near_best(reading.symbols, scores)


@settings(max_examples=60, deadline=None)
@given(**CASES, alpha=st.floats(0, 3), beta=st.floats(-2, 2))
def test_a_wide_beam_with_an_ngram_model_finds_the_best_combined_score(
    ngram, steps, scale, seed, alpha, beta
):
    decoder = beam.Decoder(beam.Settings(400, 0, ngram, alpha, beta), ABC)
    model = kneserney.load(ngram, ABC)
    logits = lines(2, steps, 4, scale, seed)
    for line, reading in zip(logits, read(decoder, logits), strict=True):
        scores = {y: s + alpha * model.log_prob(y) + beta * len(y) for y, s in all_readings(line).items()}
        assert near_best(reading.symbols, scores)


@settings(max_examples=40, deadline=None)
@given(**CASES, alpha=st.floats(0.5, 3), beta=st.floats(-2, 2), count=st.integers(1, 4))
def test_several_readings_with_an_ngram_model_have_the_best_combined_scores(
    ngram, steps, scale, seed, alpha, beta, count
):
    decoder = beam.Decoder(beam.Settings(400, 0, ngram, alpha, beta), ABC)
    model, logits = kneserney.load(ngram, ABC), lines(2, steps, 4, scale, seed)
    for line, labels in zip(logits, decoder.best(logits.numpy(), count), strict=True):
        scores = {y: s + alpha * model.log_prob(y) + beta * len(y) for y, s in all_readings(line).items()}
        best = sorted(scores.values(), reverse=True)[:count]
        assert [scores[label] for label in labels] == pytest.approx(best, rel=1e-3, abs=1e-3)


@settings(max_examples=40, deadline=None)
@given(**CASES, count=st.integers(1, 4))
def test_several_words_of_a_lexicon_are_the_best_ones(words, steps, scale, seed, count):
    decoder, logits = lexicon.Decoder(lexicon.Settings(words, 400), ABC), lines(2, steps, 4, scale, seed)
    for line, labels in zip(logits, decoder.best(logits.numpy(), count), strict=True):
        scores = {k: v for k, v in all_readings(line).items() if k in decoder.words}
        best = sorted(scores.values(), reverse=True)[:count]
        assert [scores[label] for label in labels] == pytest.approx(best, rel=1e-3, abs=1e-3)


def test_more_readings_than_the_search_is_wide_widen_it(words, ngram):
    logits = lines(5, 6, 4, 1.0).numpy()
    for told in ("beam", "certified", {"name": "beam", "ngram": ngram}, {"name": "lexicon", "words": words}):
        tree = {"name": told} if isinstance(told, str) else told
        narrow, wide = (decoders.make(decoders.stored({**tree, "width": w}), ABC) for w in (1, 5))
        found = narrow.best(logits, 5)
        assert max(len(set(labels)) for labels in found) == 5, tree  # words are few among prefixes
        assert found == wide.best(logits, 5), tree


def test_the_seam_tells_who_knows_several_readings():
    assert decoders.know_several() == ["beam", "certified", "lexicon"]


def test_the_ngram_model_decides_where_the_steps_do_not(tmp_path):
    ngram = str(tmp_path / "n")
    kneserney.save(kneserney.fit(["abc"] * 9, ABC, 3)[0], ngram)
    logits = torch.full((1, 3, 4), -9.0)
    logits[0, 0, 1] = logits[0, 1, 2] = 9  # "ab", and perhaps a "c"
    logits[0, 2, [0, 3]] = torch.tensor([5.1, 5.0])
    alone = read(beam.Decoder(beam.Settings(), ABC), logits)[0].symbols
    led = read(beam.Decoder(beam.Settings(ngram=ngram, alpha=1), ABC), logits)[0].symbols
    assert (alone, led) == ((1, 2), (1, 2, 3))


def test_both_beams_read_the_same_with_a_cut():
    pytest.importorskip("fast_ctc_decode", reason="the extra `decode` is not installed")
    charset = Charset.named("36")
    for scale in (1.0, 3.0, 6.0):
        logits = lines(32, 26, 37, scale)
        theirs = beam.Decoder(beam.Settings(), charset)
        ours = beam.Decoder(beam.Settings(), charset)
        ours.search = beam.own
        assert [r.symbols for r in read(theirs, logits)] == [r.symbols for r in read(ours, logits)]


def test_a_cut_keeps_the_best_class_of_a_step():
    flat = np.log(np.array([[[0.25, 0.35, 0.4], [0.1, 0.2, 0.7]]], np.float32))
    assert np.isfinite(beam.cut(flat, 0.9)).tolist() == [[[False, False, True], [False, False, True]]]
    assert np.isfinite(beam.cut(flat, 0.3)).tolist() == [[[False, True, True], [False, False, True]]]
    assert np.array_equal(beam.cut(flat, 0), flat)


def test_flat_lines_of_5990_classes_are_read_by_all(every):
    charset = Charset(
        "".join(map(chr, range(0x61, 0x61 + 3))) + "".join(map(chr, range(0x4E00, 0x4E00 + 5986)))
    )
    logits = torch.zeros(2, 12, 5990)
    logits[:, :, 0] = -1  # the blank is not the best
    for name, decoder in every(charset).items():
        assert all(reading.symbols for reading in read(decoder, logits)), name


def test_a_broken_line_is_empty_without_confidence_and_disturbs_no_other(every):
    logits = lines(3, 8, 37, 4.0)
    for name, decoder in every(Charset.named("36")).items():
        whole = read(decoder, logits)
        broken = logits.clone()
        broken[1] = torch.nan
        found = read(decoder, broken)
        assert (found[1].symbols, found[1].confidence) == ((), 0.0), name
        assert [found[i].symbols for i in (0, 2)] == [whole[i].symbols for i in (0, 2)], name


def test_no_line_has_no_reading(every):
    for name, decoder in every(Charset.named("36")).items():
        assert read(decoder, torch.zeros(0, 24, 37)) == [], name


@settings(max_examples=40, deadline=None)
@given(temperature=st.floats(0.2, 5), scale=st.floats(0.2, 8), seed=st.integers(0, 99))
def test_a_temperature_changes_confidences_and_no_reading(every, temperature, scale, seed):
    logits = lines(4, 12, 37, scale, seed)
    for name, decoder in every(Charset.named("36")).items():
        plain, other = read(decoder, logits), read(decoder, logits, temperature)
        assert [r.symbols for r in plain] == [r.symbols for r in other], name
    divided = greedy(logits / temperature)
    for one, two in zip(greedy(logits, temperature), divided, strict=True):
        assert one.confidence == pytest.approx(two.confidence, rel=1e-4, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(scale=st.floats(0.2, 8), seed=st.integers(0, 999))
def test_each_character_is_at_least_as_sure_as_the_word(every, scale, seed):
    logits = lines(4, 12, 37, scale, seed)
    for name, decoder in every(Charset.named("36")).items():
        for reading in read(decoder, logits):
            assert len(reading.characters) == len(reading.symbols), name
            assert all(reading.confidence - 1e-6 <= sure <= 1.0 + 1e-6 for sure in reading.characters), name


def test_a_character_is_as_sure_as_the_best_step_of_its_run():
    probabilities = torch.tensor([[[0.3, 0.7], [0.1, 0.9], [0.8, 0.2], [0.4, 0.6]]])
    (reading,) = read(Greedy(), probabilities.log())
    assert reading.characters == pytest.approx((0.9, 0.6))
    assert reading.confidence == pytest.approx(0.7 * 0.6)


def test_a_word_longer_than_the_line_is_never_read(words):
    decoder = lexicon.Decoder(lexicon.Settings(words), Charset("abc"))
    decoder.words = [(1, 2, 3)]
    decoder._known, decoder._trie = set(decoder.words), lexicon.Trie(decoder.words, 4)
    assert read(decoder, lines(1, 2, 4))[0].symbols == ()
