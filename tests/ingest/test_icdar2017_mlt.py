"""ICDAR 2017 MLT: nine scripts, what is ignored, and which unverified facts are insisted on."""

import shutil
from pathlib import Path

import pytest

from ingest.sources.icdar2017_mlt import Settings, Source
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/icdar2017_mlt/root"


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def source(root, split="train", **settings):
    return Source(Settings(**settings), str(root), split)


def test_a_crop_keeps_its_script_and_a_photo_the_one_it_has():
    scenes, crops = source(ROOT), source(ROOT, level="crops")
    assert [scenes.read(row).record.meta.script for row in (0, 1)] == [None, "Latin"]
    assert [crops.read(row).record.meta.script for row in (0, 1, 2)] == ["Latin", "Arabic", "Latin"]
    assert crops.read(1).record.origin == "gt_img_2.txt:2"
    assert crops.read(1).record.meta.group == "icdar2017_mlt/train/img_2.jpg"


def test_what_nobody_can_read_is_ignored_whatever_its_script():
    words = source(ROOT).read(0).record.words
    assert [(word.text, word.legible) for word in words][2:] == [(None, False), (None, False)]


def test_photos_come_by_number_and_only_their_number_is_known():
    assert [photo.image for photo in source(ROOT).level.rows] == [
        "img_2.jpg", "img_10.png", "img_11.jpg", "img_12.jpg"
    ]  # fmt: skip
    assert (source(ROOT).official, source(ROOT, "val").official) == (7200, 1800)
    assert source(ROOT, level="crops").official is None


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("10,10,58,10,58,28,10,28,Castle", "a script (Arabic"),
        ("10,10,58,10,58,28,10,28,latin,Castle", "a script (Arabic"),
        ("10,10,58,10,58,28,10,28,Hindi,Castle", "a script (Arabic"),
        ("10,10,58,10,58,28,10,28,Latin,", "no text"),
        ("10,10,58,10,58,28,10,2.8,Latin,Castle", "whole pixels"),
        ("10,10,58,10,58,28,Latin,Castle,a,b", "a script (Arabic"),
    ],
)
def test_a_line_that_does_not_fit_is_named(root, line, why):
    file = root / "ch8_training_localization_transcription_gt_v2/gt_img_2.txt"
    file.write_text(f"10,10,58,10,58,28,10,28,None,fine\n{line}\n")
    with pytest.raises(BadData, match=r"gt_img_2\.txt:2: ") as caught:
        source(root)
    assert why in str(caught.value)


def test_what_is_missing_is_said(root):
    with pytest.raises(BadSettings, match="train, val"):
        source(root, "test")
    shutil.rmtree(root / "ch8_validation_images")
    with pytest.raises(
        BadData, match="no ICDAR 2017 MLT val photos; expected ch8_validation_images and ch8_v"
    ):
        source(root, "val")
