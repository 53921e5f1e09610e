"""Marks of every word, and what is read end to end."""

import pytest

from shards.sample import Word
from train.faults import judged
from train.scenes import Scene
from train.spotting import end_to_end


def word(left, right, text="a", legible=True, score=0.5, height=10):
    polygon = ((left, 0), (right, 0), (right, height), (left, height))
    return Word(text, polygon, legible, score)


LEFT, RIGHT, HIDDEN = word(0, 10), word(12, 22), word(12, 22, None, False)
REGION = word(30, 60, None, False)
TABLE = [
    ("found", [LEFT], [LEFT], "found", "right"),
    ("missed", [LEFT], [RIGHT], "missed", "false"),
    ("ignored", [REGION], [word(31, 40)], "ignored", "ignored"),
    ("split in two", [LEFT], [word(0, 5), word(5, 10)], "split", "fragment fragment"),
    ("two thirds are no split", [LEFT], [word(0, 3.3), word(4, 7.3)], "missed", "false false"),
    ("the same part twice is no split", [LEFT], [word(0, 4.9), word(0, 4.9)], "missed", "false false"),
    ("what reaches far out is no fragment", [LEFT], [word(-20, 5), word(5, 30)], "missed", "false false"),
    ("one part alone is no split", [LEFT], [word(0, 5), RIGHT], "missed", "false false"),
    ("found by one, a part beside it is false", [LEFT], [word(0, 7), word(5, 10)], "found", "right false"),
    ("merged", [LEFT, RIGHT], [word(0, 22)], "merged merged", "merge"),
    ("merged into one that was found", [word(0, 20), word(21, 26)], [word(0, 26)], "found merged", "right"),
    ("an ignored neighbour does not merge", [LEFT, HIDDEN], [word(0, 21)], "missed ignored", "false"),
    ("nothing", [], [], "", ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("truths", "found", "of_truths", "of_found"), [r[1:] for r in TABLE], ids=[r[0] for r in TABLE]
)
def test_marks_by_hand(truths, found, of_truths, of_found):
    marks = judged(truths, found)
    assert (" ".join(marks.truths), " ".join(marks.found)) == (of_truths, of_found)


def test_marks_stand_in_the_order_that_was_given():
    found = [
        word(80, 90, score=0.1),
        word(0, 10, score=0.2),
        word(31, 40, score=0.3),
        word(12, 22, score=0.9),
    ]
    marks = judged([REGION, RIGHT, LEFT, word(70, 75)], found)
    assert marks.truths == ("ignored", "found", "found", "missed")
    assert marks.found == ("false", "right", "ignored", "right")


def test_another_protocol_counts_what_is_illegible():
    assert judged([REGION], [REGION], "ocrdistill").truths == ("found",)


@pytest.mark.parametrize(
    ("truth", "read", "right"),
    [
        ("Cafe\u0301", "CAFÉ", 1),
        ("to", "TO", 1),
        ("to", "too", 0),
        ("it's", "its", 0),
        ("a", None, 0),
        ("", None, 1),
    ],
)
def test_a_word_is_read_where_it_is_found_and_its_text_is_right(truth, read, right):
    found = end_to_end([Scene.of([word(0, 10, truth)], [word(0, 10, read)])])
    assert (found.precision, found.recall, found.hmean) == (right, right, right)


def test_a_word_without_a_text_is_a_region_and_illegible_ones_stay_so():
    unknown, scene = word(70, 80, None), [LEFT, REGION, word(70, 80, None)]
    found = end_to_end(
        [Scene.of(scene, [LEFT, unknown, word(31, 35, "x")]), Scene.of([RIGHT], [word(12, 22, "b")])]
    )
    assert (found.precision, found.recall) == (0.5, 0.5)


def test_detections_below_the_threshold_read_nothing():
    scene = Scene.of([LEFT, RIGHT], [word(0, 10, score=0.9), word(12, 22, score=0.2)])
    assert end_to_end([scene], threshold=0.5).recall == 0.5
    assert end_to_end([scene], threshold=0.2).recall == 1.0
