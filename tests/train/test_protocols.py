"""Protocols and groups: how strings are compared, and which words are told apart."""

import itertools
import json
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ingest import shard
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.read import Shards
from shards.sample import Word
from train import evaluation, groups, metrics, mistakes, modelfolder, protocols
from train.charset import Charset
from train.models import crnn
from train.predict import PRETRAINED
from train.protocols import Protocol
from train.tasks import Read
from train.tasks.recognise import Settings, Task

OWN = Charset.named("36")
RAW = Path(__file__).resolve().parent.parent / "raw"


@pytest.mark.parametrize(
    ("name", "label", "wanted"),
    [
        ("native", "It's 5", "it's 5"),
        ("36", "It's 5", "its5"),
        ("62", "It's 5", "Its5"),
        ("94", "It's 5é", "It's5"),
        ("36", "&!", protocols.NOTHING),
        ("36", "", ""),
    ],
)
def test_a_label_is_brought_to_what_the_protocol_compares(name, label, wanted):
    assert Protocol(name, OWN).truth(label) == wanted


@given(st.sampled_from(protocols.NAMES[1:]), st.text())
def test_a_truth_is_read_right_by_itself_unless_nothing_is_left_of_it(name, text):
    protocol = Protocol(name, OWN)
    lost = protocol.truth(text) == protocols.NOTHING
    assert (protocol.reading(text) == protocol.truth(text)) != lost


@pytest.mark.parametrize(("read", "edits", "similar"), [("", 0, 1.0), ("?", 0, 1.0), ("ab", 2, 0.0)])
def test_a_truth_of_which_nothing_is_left_is_wrong_and_has_no_characters(read, edits, similar):
    protocol = Protocol("36", OWN)
    truths = [protocol.truth(label) for label in ("&!", "abcd")]
    readings = [protocol.reading(text) for text in (read, "abcd")]
    found = metrics.scores(truths, readings)
    assert found["word_acc"]["value"] == 0.5
    assert found["cer"]["value"] == metrics.cer(truths, readings) == edits / 4
    assert found["one_minus_ned"]["value"] == metrics.one_minus_ned(truths, readings) == (similar + 1) / 2
    assert found["edit_distance_mean"]["value"] == edits / 2
    assert found["edit_distance_normalised"]["value"] == (edits > 0) / 2


def test_an_emptied_truth_stands_in_no_confusion_and_among_the_shortest(words):
    shards = Shards([str(words)], "test")
    task, uid = Task(Settings("94"), ImageSpec()), int(shards.uids[0])
    meter = task.meter()
    meter.update([uid], [(Read("x", score=0.5),)], [replace(shards.record(0), words=(Word("&!"),))])
    meter.score_by("36")
    found = mistakes.of(meter, {}, task, shards)
    assert found["confusions"] == [("", "x", 1)]
    assert found["lengths"] == [(0, 1, 0)]
    assert found["examples"][0]["scored"] == ""


def test_an_unknown_protocol_or_group_lists_the_known_ones():
    with pytest.raises(BadSettings, match="native, 36, 62, 94"):
        evaluation.main(["checkpoint=x", "data.root=y", "protocol=37"])
    with pytest.raises(BadSettings, match="source, length, repeats, group"):
        evaluation.main(["checkpoint=x", "data.root=y", "by=size"])


def test_what_is_asked_for_lists_every_way_to_tell_words_apart(capsys):
    with pytest.raises(SystemExit):
        evaluation.main(["by=?"])
    assert ", ".join(groups.WAYS) in capsys.readouterr().out


def test_writers_are_told_apart_as_their_forms_name_them(tmp_path, capsys):
    shutil.copytree(RAW / "iam" / "root", tmp_path / "raw")
    (tmp_path / "raw" / "train.uttlist").write_text("a01-000u\nc03-003a\n")
    made = ["source=iam", f"root={tmp_path / 'raw'}", "level=words", "split_file={split}.uttlist"]
    shard.main([*made, "split=train", f"out={tmp_path / 'iam'}", "workers=1", "max_reject_frac=.5"])
    given = [f"checkpoint={PRETRAINED}", f"data.root={tmp_path / 'iam'}", "data.split=train", "by=writer"]
    evaluation.main([*given, "json=true"])
    out = capsys.readouterr().out
    (found,) = json.loads(out.splitlines()[-1])["models"].values()
    shards = Shards([tmp_path / "iam"], "train")
    records = [shards.record(i) for i in range(len(shards))]
    labelled = [r.meta.writer for r in records if r.words[0].legible and r.words[0].text is not None]
    counts = {writer: one["n"] for writer, one in found["by"]["writer"].items()}
    assert counts == Counter(labelled)
    assert len(counts) > 1
    assert "word accuracy by writer" in out


@pytest.mark.parametrize("way", groups.WAYS)
def test_every_word_stands_in_one_group_of_a_kind(way, words):
    shards = Shards([str(words)], "test")
    uids = shards.uids.tolist()
    right = {uid: i % 3 == 0 for i, uid in enumerate(uids)}
    scored = {uid: shards.text(i) for i, uid in enumerate(uids)}
    found = groups.grouped(way, right, scored, shards)
    assert sum(one["n"] for one in found.values()) == 32
    assert sum(one["right"] for one in found.values()) == 11
    if way == "length":
        assert {int(k): one["n"] for k, one in found.items()} == {
            n: sum(len(t) == n for t in scored.values()) for n in map(int, found)
        }
        assert list(found) == sorted(found, key=int)
    if way == "repeats":
        double = sum(any(a == b for a, b in itertools.pairwise(t)) for t in scored.values())
        assert found.get("with equal neighbours", {"n": 0})["n"] == double


def test_an_evaluation_by_another_protocol_says_its_groups(words, tmp_path, capsys):
    torch.manual_seed(0)
    task = Task(Settings("94"), ImageSpec())
    small = crnn.Settings(channels=[4, 4, 4, 4, 4, 4, 8], map_to_seq=8, rnn_hidden=8)
    model = crnn.Model(small, task.image, task.channels)
    modelfolder.save(tmp_path / "m", model, task, model_name="crnn", task_name="recognise", extra={})
    known = []
    for more in ([], ["protocol=36", "by=[length,repeats]"]):
        evaluation.main([f"checkpoint={tmp_path / 'm'}", f"data.root={words}", "json=true", *more])
        out = capsys.readouterr().out
        known += json.loads(out.splitlines()[-1])["models"].values()
    native, other = known
    assert (native["set"], other["set"]) == ("rendered-test", "rendered-test-36")
    assert (native["by"], list(other["by"])) == ({}, ["length", "repeats"])
    assert sum(one["n"] for one in other["by"]["length"].values()) == native["n"] == 32
    assert "word accuracy by repeats" in out


def test_every_protocol_says_what_it_compares():
    assert set(protocols.MEANINGS) == {*protocols.NAMES, *protocols.PROTOCOLS}
