"""SROIE: receipts and the lines on them; the key information is not read."""

import shutil
from pathlib import Path

import pytest

from ingest.sources.sroie import Settings, Source
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/sroie/root"


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def source(root, split="train", **settings):
    return Source(Settings(**settings), str(root), split)


def test_a_line_keeps_its_commas_and_spaces_and_what_is_unreadable_is_ignored():
    record = source(ROOT).read(0).record
    assert [(word.text, word.legible) for word in record.words] == [
        ("TOTAL, 5.00 ", True), ("cash", True), (None, False)
    ]  # fmt: skip
    assert record.words[1].polygon == ((10, 40), (50, 38), (50, 58), (10, 60))
    assert (record.meta.kind, record.meta.group) == ("lines", "sroie/train/X1.jpg")


def test_lines_of_a_receipt_are_one_group_and_are_named_by_their_place():
    rows = [source(ROOT, level="crops").read(row).record for row in range(2)]
    assert [row.origin for row in rows] == ["X1.txt:1", "X1.txt:2"]
    assert {row.meta.group for row in rows} == {"sroie/train/X1.jpg"}
    assert [row.size for row in rows] == [(75, 19), (41, 23)]


def test_the_key_information_changes_nothing(root):
    before = source(root).options
    shutil.rmtree(root / "train/entities")
    assert source(root).options == before


def test_images_and_boxes_may_stand_in_one_folder(root):
    shutil.copytree(root / "train/img", root / "task1train")
    shutil.copytree(root / "train/box", root / "task1train", dirs_exist_ok=True)
    found = source(root, images="task1train", boxes="task1train")
    assert found.options == source(root).options
    assert (found.per_split, source(root).per_split) == (False, True)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("10,10,50,10,50,28,10,28", "whole pixels"),
        ("10,10,50,10,50,28,10,28,", "no text"),
        ("10 10 50 10 50 28 10 28 cash", "whole pixels"),
        ("10,10,50,10,50,28,10,x,cash", "whole pixels"),
    ],
)
def test_a_line_that_does_not_fit_is_named(root, line, why):
    (root / "train/box/X1.txt").write_text(f"10,10,50,10,50,28,10,28,cash\n{line}\n")
    with pytest.raises(BadData, match=r"box/X1\.txt:2: ") as caught:
        source(root)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"level": "lines"}, BadSettings, "crops, scenes"),
        ({"crop": "box "}, BadSettings, "box, mask, perspective"),
        ({"crop": "mask"}, BadSettings, "crop=mask says how level=crops cuts; level is scenes"),
        ({"boxes": "{split}/boxes"}, BadData, "boxes=train/boxes: no such folder"),
        ({"images": "../x"}, BadData, "does not stay below"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, error, says):
    with pytest.raises(error, match=says):
        source(ROOT, **settings)
