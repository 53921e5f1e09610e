"""Mistakes: alignment by the fewest edits, counts by length and data set, pictures of what was read wrong."""

import base64
import io
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ingest import shard
from shards.image import ImageSpec
from shards.read import Shards
from train import mistakes
from train.groups import grouped
from train.tasks import Read, recognise
from train.tasks.recognise import Settings, Task

texts = st.lists(st.tuples(st.text("abc", max_size=6), st.text("abc", max_size=6)), max_size=8)


def test_golden_alignments():
    found = mistakes.confusions(["kitten", "", "abc"], ["sitting", "x", "abc"])
    counts = {(truth, text): count for truth, text, count in found}
    assert counts["k", "s"] == counts["e", "i"] == 1
    assert counts["", "g"] == counts["", "x"] == 1
    assert counts["t", "t"] == 2
    assert found[0] == ("t", "t", 2)


@given(texts)
def test_every_character_of_truth_and_reading_is_counted_once(pairs):
    truths, readings = [t for t, _ in pairs], [r for _, r in pairs]
    found = mistakes.confusions(truths, readings)
    assert sum(n for truth, _, n in found if truth) == sum(map(len, truths))
    assert sum(n for _, text, n in found if text) == sum(map(len, readings))
    assert not any(truth == text == "" for truth, text, _ in found)


def test_lengths_count_words_and_those_read_right():
    assert mistakes.by_length(["a", "b", "abc"], [True, False, True]) == [(1, 2, 1), (3, 1, 1)]


def test_examples_are_the_most_confident_mistakes_with_their_canvas(words):
    shards = Shards([words], "val")
    task = recognise.Task(recognise.Settings("36"), ImageSpec())
    meter, uids = task.meter(), [int(u) for u in shards.uids]
    records = [shards.record(i) for i in range(len(uids))]
    right = [task.charset.normalise(record.words[0].text) for record in records]
    said = [(Read(text if i > 2 else "zzz", score=i / 100),) for i, text in enumerate(right)]
    meter.update(uids, said, records)
    found = mistakes.of(meter, {uids[1]: "damaged"}, task, shards)
    assert [row["uid"] for row in found["examples"]] == [f"{uids[2]:016x}", f"{uids[0]:016x}"]
    assert found["examples"][0]["truth"].lower() == right[2]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["examples"][0]["png"]))))
    assert picture.shape == (32, 100)
    assert sum(n for _, n, _ in found["lengths"]) == len(uids)
    assert sum(hits for _, _, hits in found["lengths"]) == len(uids) - 3


FOUND = [("a", "a", 6), ("a", "o", 3), ("", "x", 2), ("b", "", 1), ("c", "c", 9)]


@pytest.fixture(scope="module")
def two(words, tmp_path_factory):
    """The shards of two data sets: 32 words and 8 words."""
    out = tmp_path_factory.mktemp("two") / "other"
    shard.main(["source=rendered", "name=other", f"out={out}", "split=test", "count=8"])
    return Shards([words, out], "test")


def meter_of(shards: Shards, wrong: dict[int, str]) -> SimpleNamespace:
    """A double that reads the samples at these places as these texts, and all others right."""
    texts = [shards.text(place) or "" for place in range(len(shards))]
    read = [wrong.get(place, text.lower()) for place, text in enumerate(texts)]
    rows = [(int(shards.uids[i]), t, p, i / 100) for i, (t, p) in enumerate(zip(texts, read, strict=True))]
    return SimpleNamespace(pairs=lambda: ([t.lower() for t in texts], read), detail=lambda: rows)


def test_words_are_counted_by_the_data_set_that_they_come_from(two):
    found = mistakes.of(meter_of(two, {0: "x", 39: "x"}), {}, Task(Settings(), ImageSpec()), two)
    assert found["by_source"] == {"rendered": {"n": 32, "right": 31}, "other": {"n": 8, "right": 7}}
    assert sum(n for _, n, _ in found["lengths"]) == 40
    assert sum(right for *_, right in found["lengths"]) == 38


def test_a_damaged_word_counts_as_missed_and_is_no_example(two):
    damage = {int(two.uids[5]): "cut"}
    found = mistakes.of(meter_of(two, {0: "x"}), damage, Task(Settings(), ImageSpec()), two)
    assert found["by_source"]["rendered"] == {"n": 32, "right": 30}
    assert [one["uid"] for one in found["examples"]] == [f"{int(two.uids[0]):016x}"]


def test_examples_say_how_the_truth_was_compared(two):
    found = mistakes.of(meter_of(two, {3: "x", 7: "x"}), {}, Task(Settings(), ImageSpec()), two)
    assert [one["truth"] for one in found["examples"]] == [two.text(7), two.text(3)]  # surest first
    assert [one["scored"] for one in found["examples"]] == [(two.text(i) or "").lower() for i in (7, 3)]


def test_data_sets_of_one_name_are_told_apart_by_their_key(words, tmp_path):
    for seed in (1, 2):
        shard.main([
            "source=rendered", f"out={tmp_path / str(seed)}", "split=test", "count=4", f"seed={seed}",
        ])  # fmt: skip
    shards = Shards([tmp_path / "1", tmp_path / "2"], "test")
    keys = {m.key for m in shards.manifests}
    assert len(keys) == 2
    assert set(grouped("source", dict.fromkeys(shards.uids.tolist(), True), {}, shards)) == keys


@pytest.mark.parametrize(
    ("truth", "text", "mine", "theirs"),
    [
        ("", "", set(), set()),
        ("abc", "abc", set(), set()),
        ("abc", "", {0, 1, 2}, set()),
        ("", "ab", set(), {0, 1}),
        ("hallo", "hello", {1}, {1}),
        ("old", "cold", set(), {0}),
        ("rikn", "rik", {3}, set()),
    ],
)
def test_differences_are_the_fewest_edits(truth, text, mine, theirs):
    assert mistakes.differences(truth, text) == (mine, theirs)


def test_the_grid_holds_shares_of_each_true_character_that_was_read_as_another():
    names, shares = mistakes.grid(FOUND)
    assert names == ["", "a", "b", "o", "x"]  # c was never wrong
    wanted = np.zeros((5, 5))
    wanted[0, 4], wanted[1, 3], wanted[2, 0] = 1, 3 / 9, 1
    np.testing.assert_allclose(shares, wanted)
    for nothing in ([], [("a", "a", 3)]):
        names, shares = mistakes.grid(nothing)
        assert (names, shares.tolist()) == ([""], [[0]])


@pytest.mark.parametrize(
    "found", [FOUND, [], [("a", "a", 1)], [("$", "^", 2), ("\\", "$", 1), (" ", "\t", 1)]]
)
def test_the_heat_map_of_anything_is_a_picture(found):
    assert Image.open(io.BytesIO(mistakes.heat_map(found))).size == (600, 540)
