"""YOLO trees: boxes in pixels, what is to be ignored, and photos that nobody labelled."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from ingest.sources import Reject
from ingest.sources.yolo import Settings, Source
from shards import manifest, unpack
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/yolo/root"


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def source(root, split="train", **settings):
    return Source(Settings(**{"ignore": [2], **settings}), str(root), split)


def test_shares_become_pixels_that_lie_on_the_photo():
    first, second = (source(ROOT).read(row).record for row in range(2))
    corners = [(18, 30), (50, 30), (50, 46), (18, 46)]
    np.testing.assert_allclose(first.words[0].polygon, corners, atol=1e-3)
    np.testing.assert_allclose(second.words[1].polygon, [(85, 30), (100, 30), (100, 50), (85, 50)])


def test_classes_and_the_tree_of_unread_words_say_what_is_to_be_ignored():
    first, second = (source(ROOT).read(row).record for row in range(2))
    assert [word.legible for word in first.words] == [True, True, False]
    assert [word.legible for word in second.words] == [True, False]
    assert source(ROOT).notes == [
        "6 boxes of 5 photos, 2 of them to be ignored; 1 photos without text, 1 without a file that says so"
    ]


def test_a_photo_without_a_file_has_no_text_only_where_that_is_said():
    with pytest.raises(Reject, match=r"silent\.jpg: missing_list no silent\.txt"):
        source(ROOT).read(4)
    assert source(ROOT, unlabelled="text_free").read(4).record.words == ()
    assert source(ROOT, unlabelled="text_free").options != source(ROOT).options


def test_photos_are_groups_and_splits_are_told_apart():
    groups = [source(ROOT).read(row).record.meta.group for row in range(3)]
    assert groups == ["yolo/train/9.jpg", "yolo/train/a/10.jpg", "yolo/train/bare.png"]
    assert source(ROOT, "test", text=[1]).read(0).record.meta.group == "yolo/test/1.jpg"
    assert source(ROOT).per_split
    assert not source(ROOT, folder="train").per_split


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("0 0.5 0.5 0.1", "expected class, centre x"),
        ("0 0.5 0.5 0.1 0.1 0.9", "expected class, centre x"),
        ("0,0.5,0.5,0.1,0.1", "expected class, centre x"),
        ("0 0.5 0.5 nan 0.1", "expected class, centre x"),
        ("0.0 0.5 0.5 0.1 0.1", "expected class, centre x"),
        ("0 -0.5 0.5 0.1 0.1", "expected class, centre x"),
        ("0 320 240 40 20", "expected class, centre x"),
        ("0 0.5 0.5 0.1 1.01", "all but the first from 0 to 1"),
        ("0 0.5 0.5 0 0.1", "the box has no area"),
        ("7 0.5 0.5 0.1 0.1", "class 7 is neither in text=0 nor in ignore=2"),
    ],
)
def test_a_line_that_does_not_fit_is_named(root, line, why):
    (root / "labels/train/9.txt").write_text(f"0 0.5 0.5 0.1 1e-1\n{line}\n")
    with pytest.raises(BadData, match=r"labels/train/9\.txt:2: ") as caught:
        source(root)
    assert why in str(caught.value)


def test_two_images_do_not_share_a_list_and_an_unread_word_belongs_to_one(root):
    shutil.copy(root / "images/train/9.jpg", root / "images/train/9.jpeg")
    with pytest.raises(BadData, match=r"9\.jp.* would share its list"):
        source(root)
    (root / "images/train/9.jpeg").unlink()
    (root / "ignore/train/x.txt").write_text("0 .5 .5 .1 .1\n")
    with pytest.raises(BadData, match=r"ignore/train/x\.txt: no such list in labels/train"):
        source(root)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"unlabelled": "negative"}, BadSettings, "reject, text_free"),
        ({"text": [0, 2]}, BadSettings, "class 2 is given both"),
        ({"folder": "../x"}, BadData, "does not stay below"),
        ({"folder": "val"}, BadData, "no images/val below root="),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, error, says):
    with pytest.raises(error, match=says):
        source(ROOT, **settings)


def test_what_was_unpacked_is_read_again(tmp_path, shard, capsys):
    made, again = tmp_path / "made", tmp_path / "again"
    arguments = ("ignore=2", "max_reject_frac=.5", "workers=1")
    assert shard("source=yolo", f"root={ROOT}", f"out={made}", *arguments)[0] == 0
    unpack.main([str(made), "to=yolo", f"out={tmp_path / 'plain'}"])
    command = capsys.readouterr().out.split("next: ")[1].split()
    assert shard(*command[3:-1], f"out={again}", "workers=1")[0] == 0
    assert manifest.load(again / "train").written == 3


@pytest.mark.real
def test_the_real_piece(tmp_path, shard, real):
    where = (f"root={real / 'icdar2015_yolo_subset'}", f"out={tmp_path}", "folder={split}_icdar")
    code, said = shard("source=yolo", *where, "split=train,test", "max_reject_frac=.25", "workers=1")
    assert code == 0, said
    done = [manifest.load(tmp_path / split) for split in ("train", "test")]
    assert [(one.written, one.rejected) for one in done] == [(8, {"missing_list": 2})] * 2
