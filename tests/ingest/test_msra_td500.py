"""MSRA-TD500: turned lines, and which of them are to be ignored."""

import math
import shutil
from pathlib import Path

import pytest

from ingest.sources import Reject
from ingest.sources.msra_td500 import Settings, Source
from shards import geometry, manifest
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/msra_td500/root"
FIRST = "MSRA-TD500/train/IMG_0009.gt"


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def source(root, split="train"):
    return Source(Settings(), str(root), split)


def test_a_box_is_turned_clockwise_about_its_centre_and_keeps_its_sides():
    upright, turned, back = (word.polygon for word in source(ROOT).read(0).record.words)
    assert upright == ((20, 30), (60, 30), (60, 46), (20, 46))
    for polygon, box, degrees in ((turned, (90, 70, 30, 20), 30), (back, (-4, 100, 30, 10), -60)):
        x, y, width, height = box
        assert geometry.sides(polygon) == pytest.approx((width, height, width, height), abs=0.01)
        assert [sum(v) / 4 for v in zip(*polygon, strict=True)] == pytest.approx(
            [x + width / 2, y + height / 2], abs=0.01
        )
        (a, b), (u, v) = polygon[:2]
        assert math.degrees(math.atan2(v - b, u - a)) == pytest.approx(degrees, abs=0.05)


def test_difficult_lines_are_ignored_and_none_has_a_text():
    record = source(ROOT).read(0).record
    assert [(word.text, word.legible) for word in record.words] == [(None, True), (None, True), (None, False)]
    assert (record.meta.kind, record.meta.group) == ("lines", "msra_td500/train/IMG_0009.JPG")
    assert source(ROOT).notes == ["4 lines, not words, of 4 photos; 1 are difficult"]


def test_only_an_empty_list_says_that_there_is_no_text():
    assert source(ROOT).read(2).record.words == ()
    with pytest.raises(Reject, match=r"IMG_0010\.JPG: missing_list no IMG_0010\.gt"):
        source(ROOT).read(1)


@pytest.mark.parametrize("line", [
    "0 0 20 30 40 16", "0 2 20 30 40 16 0.1", "0 0 20.5 30 40 16 0.1", "0,0,20,30,40,16,0.1",
    "0 0 20 30 0 16 0.1",
    "0 0 20 30 40 -16 0.1", "0 0 20 30 40 16 1.6", "0 0 20 30 40 16 45.0", "0 0 20 30 40 16 0.1 Text",
])  # fmt: skip
def test_a_line_that_does_not_fit_is_named(root, line):
    (root / FIRST).write_text(f"0 0 20 30 40 16 0.000000\n{line}\n")
    with pytest.raises(BadData, match=r"IMG_0009\.gt:2: expected "):
        source(root)


def test_the_splits_are_found_from_two_folders_and_others_are_refused():
    assert source(ROOT / "MSRA-TD500").options == source(ROOT).options
    with pytest.raises(BadSettings, match="train, test"):
        source(ROOT, "val")
    with pytest.raises(BadData, match="no train/ there or in MSRA-TD500/ below it"):
        source(ROOT / "MSRA-TD500/train")


@pytest.mark.real
@pytest.mark.slow
def test_the_real_piece(tmp_path, shard, real):
    where = (f"root={real / 'msra_td500'}", f"out={tmp_path}", "max_reject_frac=0", "workers=1")
    code, said = shard("source=msra_td500", *where)
    assert (code, "146 lines, not words, of 24 photos; 4 are difficult" in said) == (0, True), said
    assert manifest.load(tmp_path / "train").written == 24
