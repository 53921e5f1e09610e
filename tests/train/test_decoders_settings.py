"""Decoders as settings and files name them: what cannot be is refused."""

import sys

import pytest

from shards import config
from shards.errors import BadData, BadSettings
from tests.train.exhaustive import ABC, lines
from train import decoders
from train.charset import Charset
from train.decode import greedy, read
from train.decoders import beam, lexicon


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("bean", "did you mean 'beam'"),
        ({"name": "beam", "width": 0}, "width: 0"),
        ({"name": "certified", "width": 0}, "width: 0"),
        ({"name": "lexicon"}, "decoder.words= is required"),
        ({"name": "beam", "alpha": 2.0}, "decoder.ngram=FILE, which is not given"),
        ({"name": "beam", "wide": 3}, "decoder.wide"),
    ],
)
def test_settings_that_cannot_be_are_refused(told, said):
    with pytest.raises(BadSettings, match=said):
        decoders.stored(told)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no word in it"),
        (" \n", "no word in it"),
        ("ab\nxyz\nd-b\n", "2 of 3 words cannot be spelled: xyz, d-b"),
    ],
)
def test_word_lists_that_cannot_be_are_refused(tmp_path, text, said):
    (tmp_path / "w").write_text(text)
    with pytest.raises(BadData, match=said):
        lexicon.Decoder(lexicon.Settings(str(tmp_path / "w")), ABC)
    with pytest.raises(BadData, match="No such file"):
        lexicon.Decoder(lexicon.Settings(str(tmp_path / "gone")), ABC)


def test_a_config_names_its_decoder_in_every_form():
    assert decoders.stored(None).name == decoders.stored("greedy").name == "greedy"
    chosen = decoders.stored({"name": "beam", "width": 5})
    assert chosen == config.Choice("beam", beam.Settings(5))


def test_without_fast_ctc_decode_our_own_beam_reads(monkeypatch):
    monkeypatch.setitem(sys.modules, "fast_ctc_decode.fast_ctc_decode", None)
    decoder = beam.Decoder(beam.Settings(), Charset.named("36"))
    assert decoder.search is beam.own
    logits = lines(4, 26, 37, 9.0)
    assert [r.symbols for r in read(decoder, logits)] == [r.symbols for r in greedy(logits)]
