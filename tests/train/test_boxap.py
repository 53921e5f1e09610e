"""mAP by pycocotools, on scenes whose figures are known."""

import sys

import pytest

from shards.errors import BadSettings
from shards.sample import Word
from train.boxap import average_precision
from train.scenes import Scene, protocol

pytest.importorskip("pycocotools", reason="pycocotools is not installed (extra detect)")


def word(left, right, score=0.5, legible=True):
    return Word("a", ((left, 0), (right, 0), (right, 10), (left, 10)), legible, score)


def scored(*scenes, by="icdar2015"):
    return average_precision(protocol(by).pool([Scene.of(*scene) for scene in scenes]))


ONE, LATE, REGION = word(0, 10), word(0, 10, 0.1), word(20, 90, 0, False)
TABLE = [
    ("all found", [([word(0, 10)], [word(0, 10)]), ([word(5, 9)], [word(5, 9)])], 1, 1),
    ("nothing there", [([], [word(0, 10)])], 0, 0),
    ("no picture", [], 0, 0),
    ("nothing found", [([word(0, 10)], [])], 0, 0),
    ("found to three quarters: at .5 to .7 of .5 to .95", [([word(0, 100)], [word(0, 74)])], 1, 0.5),
    ("a surer false alarm halves the precision", [([ONE], [LATE, word(50, 60, 0.9)])], 0.5, 0.5),
    ("one found of two: 51 of the 101 recalls", [([ONE, word(20, 30)], [ONE])], 51 / 101, 51 / 101),
    ("what lies in a region is left out", [([ONE, REGION], [LATE, word(30, 40, 0.9)])], 1, 1),
    ("an outline that cannot be measured is false", [([ONE], [LATE, Word("a", None, True, 0.9)])], 0.5, 0.5),
]  # fmt: skip


@pytest.mark.parametrize(
    ("scenes", "at_half", "over_all"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE]
)
def test_figures_by_hand(scenes, at_half, over_all, capfd):
    found = scored(*scenes)
    assert found == {"map50": pytest.approx(at_half, abs=1e-9), "map50_95": pytest.approx(over_all, abs=1e-9)}
    assert capfd.readouterr() == ("", "")


def test_more_than_a_hundred_words_of_a_picture_count():
    many = [word(i * 20, i * 20 + 10) for i in range(150)]
    assert scored((many, many))["map50"] == pytest.approx(1)


def test_the_other_protocol_counts_the_illegible_by_their_boxes():
    scene = ([word(0, 10), word(20, 30, None, False)], [word(0, 10)])
    assert scored(scene, by="ocrdistill")["map50"] == pytest.approx(51 / 101)
    diamond = Word("a", ((5, 0), (10, 5), (5, 10), (0, 5)))
    assert scored(([diamond], [word(0, 10)]), by="icdar2015")["map50_95"] == pytest.approx(1)


def test_without_pycocotools_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools.cocoeval", None)
    with pytest.raises(BadSettings, match=r"ocr-distillery\[detect\]"):
        scored()
