"""The character model: it is a distribution, it prefers what it saw, and it knows its charset."""

import json

import numpy as np
import pytest
import safetensors
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from shards.errors import BadData, BadSettings
from tests.train.exhaustive import ABC
from train import kneserney, ngram
from train.charset import Charset

WORD_LISTS = st.lists(st.text("abc", min_size=1, max_size=6), min_size=1, max_size=30)


@settings(max_examples=60, deadline=None)
@given(words=WORD_LISTS, order=st.integers(1, 5), history=st.text("abc", max_size=6))
def test_the_probabilities_after_any_history_sum_to_one_and_none_is_zero(words, order, history):
    model, _ = kneserney.fit(words, ABC, order)
    state = np.array(model.start)
    for symbol in ABC.encode(history):
        state = model.after(state, np.array(symbol))
    chances = np.exp(model.log_probs(np.full(4, state), np.arange(4)))
    assert chances.sum() == pytest.approx(1)
    assert (chances > 0).all()


def test_the_formula_by_hand():
    # "ab" and "ac" once each, which is too little to tell discounts: they are .5, 1, 1.5
    model, _ = kneserney.fit(["ab", "ac"], ABC, 2)
    # after a: b and c once each; share (1 - .5) / 2, lambda = (.5 + .5) / 2
    # unigrams by what stands before them: a (begin), b (a), c (a), end (b, c): 1, 1, 1, 2 of 5
    # share of b (1 - .5) / 5, lambda() = (3 x .5 + 1) / 5, over 4 symbols
    unigram = 0.5 / 5 + 2.5 / 5 / 4
    state = model.after(np.array(model.start), np.array(1))
    assert np.exp(model.log_probs(state, np.array(2))) == pytest.approx(0.5 / 2 + 0.5 * unigram)


def test_what_it_saw_is_more_probable_than_what_it_did_not():
    model, lost = kneserney.fit(["abc"] * 5 + ["abca", "xyz"], ABC, 3)
    assert lost == 1
    assert model.log_prob(ABC.encode("abc")) > model.log_prob(ABC.encode("cba"))


def test_a_file_gives_the_same_model_back_and_two_are_the_same_bytes(tmp_path):
    model, _ = kneserney.fit(["abc", "cab", "bb"], ABC, 3)
    kneserney.save(model, tmp_path / "one")
    kneserney.save(model, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    found = kneserney.load(tmp_path / "one", ABC)
    assert found.log_prob([1, 2, 3]) == model.log_prob([1, 2, 3])


def test_a_file_of_another_charset_or_of_none_is_refused(tmp_path):
    kneserney.save(kneserney.fit(["abc"], ABC)[0], tmp_path / "n")
    with pytest.raises(BadSettings, match="made for the characters 'abc'"):
        kneserney.load(tmp_path / "n", Charset.named("36"))
    (tmp_path / "text").write_text("abc" * 50)
    with pytest.raises(BadData, match=r"not a file of train\.ngram"):
        kneserney.load(tmp_path / "text", ABC)
    with pytest.raises(BadData, match="gone"):
        kneserney.load(tmp_path / "gone", ABC)


@pytest.mark.parametrize("order", [0, 40])
def test_an_order_that_cannot_be_is_refused(order):
    with pytest.raises(BadSettings, match=f"order={order}: 1 to"):
        kneserney.fit(["abc"], ABC, order)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda a: a.update(keys2=a["keys2"][:0], shares2=a["shares2"][:0]), "not in order"),
        (lambda a: a.update(keys2=a["keys2"][::-1].copy()), "not in order"),
        (lambda a: a["shares1"].fill(np.nan), "no probabilities"),
        (lambda a: a.pop("lambdas2"), "7 arrays for order 2"),
    ],
)
def test_a_damaged_file_is_refused_before_it_is_asked(tmp_path, change, told):
    path = tmp_path / "m.ngram"
    kneserney.save(kneserney.fit(["abc", "cab"], ABC, 2)[0], path)
    with safetensors.safe_open(path, "numpy") as file:
        arrays, metadata = {n: file.get_tensor(n).copy() for n in file.keys()}, file.metadata()  # noqa: SIM118
    change(arrays)
    save_file(arrays, path, metadata)
    with pytest.raises(BadData, match=f"damaged: .*{told}"):
        kneserney.load(path, ABC)


def test_the_entry_writes_a_model_and_says_what_it_left_out(tmp_path, capsys):
    (tmp_path / "w.txt").write_text("Word two\nwörd three")
    ngram.main([f"words={tmp_path / 'w.txt'}", "order=3", f"out={tmp_path / 'deep' / 'n'}", "json=true"])
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (said["words"], said["left_out"], len(said["ngrams"])) == (3, 1, 3)
    assert np.isfinite(kneserney.load(tmp_path / "deep" / "n", Charset.named("36")).log_prob([1]))


@pytest.mark.parametrize(
    ("given", "kind", "said"),
    [
        (["out=x"], BadSettings, "words= is required"),
        (["words=x"], BadSettings, "out= is required"),
        (["words=/no/file", "out=x"], BadData, "/no/file"),
        (["words={w}", "out=x", "charset=37"], BadSettings, "37"),
    ],
)
def test_what_is_not_there_is_named(tmp_path, given, kind, said):
    (tmp_path / "w").write_text("word")
    with pytest.raises(kind, match=said):
        ngram.main([text.format(w=tmp_path / "w") for text in given])


def test_words_that_nothing_spells_are_refused():
    with pytest.raises(BadData, match="none of 2 words"):
        kneserney.fit(["xyz", "zz"], ABC)
