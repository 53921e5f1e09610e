"""Mistakes: alignment by the fewest edits, counts by length, pictures of what was read wrong."""

import base64
import io

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shards.image import ImageSpec
from shards.read import Shards
from train import mistakes
from train.tasks import recognise

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


def test_the_heat_map_is_a_picture_also_of_nothing_wrong():
    for found in ([("a", "b", 3), ("a", "a", 9), ("b", "", 1)], [("a", "a", 5)], []):
        assert Image.open(io.BytesIO(mistakes.heat_map(found))).size == (600, 540)


def test_examples_are_the_most_confident_mistakes_with_their_canvas(words):
    shards = Shards([words], "val")
    task = recognise.Task(recognise.Settings("36"), ImageSpec())
    meter, uids = task.meter(), [int(u) for u in shards.uids]
    records = [shards.record(i) for i in range(len(uids))]
    right = [task.charset.normalise(record.words[0].text) for record in records]
    said = [(recognise.Word(text if i > 2 else "zzz", score=i / 100),) for i, text in enumerate(right)]
    meter.update(uids, said, records)
    found = mistakes.of(meter, {uids[1]: "damaged"}, task, shards)
    assert [row["uid"] for row in found["examples"]] == [f"{uids[2]:016x}", f"{uids[0]:016x}"]
    assert found["examples"][0]["truth"].lower() == right[2]
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["examples"][0]["png"]))))
    assert picture.shape == (32, 100)
    assert sum(n for _, n, _ in found["lengths"]) == len(uids)
    assert sum(hits for _, _, hits in found["lengths"]) == len(uids) - 3
