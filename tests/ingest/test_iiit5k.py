"""IIIT 5K-word: either .mat file, both against each other, and what no label is taken from."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from ingest.sources import Reject
from ingest.sources.iiit5k import Settings, Source
from shards.errors import BadData, BadSettings

savemat = pytest.importorskip("scipy.io", reason="the extra `mat` is not installed").savemat
ROOT = Path(__file__).resolve().parent.parent / "raw/iiit5k/root"


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def source(root, split="train"):
    return Source(Settings(), str(root), split)


def write(root, name, rows, split="test"):
    """A struct array of that name, written over the split's file with boxes."""
    array = np.empty((1, len(rows)), [(field, object) for field in rows[0]])
    for place, row in enumerate(rows):
        for field, value in row.items():
            array[0, place][field] = value
    savemat(root / f"IIIT5K/{split}CharBound.mat", {name: array})


def spelt(name="test/7_3.png", text="Two", boxes=3):
    return {"ImgName": name, "chars": text, "charBB": np.ones((boxes, 4), np.float32)}


def texts(source):
    return [label.text for label in source.rows]


def test_words_and_characters_are_each_enough_and_the_words_keep_their_order_and_case(root):
    both = source(root)
    (root / "IIIT5K/trainCharBound.mat").unlink()
    words = source(root)
    assert texts(both) == texts(words) == ["You", "A", "R&D's", "left", "gone", "boxes", "cut"]
    assert words.read(3).record.words[0].text == "left"
    shutil.copy(ROOT / "IIIT5K/trainCharBound.mat", root / "IIIT5K")
    (root / "IIIT5K/traindata.mat").unlink()
    assert texts(source(root)) == ["cut", "boxes", "gone", "lift", "R&D's", "a", "You"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (3, r"'left' in traindata\.mat:4, 'lift' in trainCharBound\.mat:4"),
        (5, r"trainCharBound\.mat:2: 4 boxes for 'boxes'"),
    ],
)
def test_a_row_whose_label_is_in_doubt_names_both_places(row, why):
    with pytest.raises(Reject, match=f"labels_differ {why}"):
        source(ROOT).read(row)


@pytest.mark.parametrize("text", ["two words", " a ", "Ünë", "x", "###"])
def test_labels_are_raw(root, text):
    write(root, "testCharBound", [spelt(text=text, boxes=len(text))])
    assert source(root, "test").read(0).record.words[0].text == text


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([spelt(), spelt("train/7_3.png")], r"testCharBound\.mat:2: 'train/7_3\.png' is no image of test/"),
        ([spelt(), spelt(".\\test\\7_3.png")], r"testCharBound\.mat:2: .* is the image of line 1"),
        ([spelt(), spelt("test/../../7_3.png")], r"testCharBound\.mat:2: .* does not stay below"),
        ([spelt(), spelt("test/a.png", "", 0)], r"testCharBound\.mat:2: chars is .* expected a text"),
        ([spelt(), spelt("test/a.png", 7.0)], r"testCharBound\.mat:2: chars is .* expected a text"),
        ([{"ImgName": "a", "chars": "b"}], r"testCharBound\.mat: no struct array testCharBound with charBB"),
    ],
)
def test_what_does_not_fit_is_named(root, rows, why):
    write(root, "testCharBound", rows)
    with pytest.raises(BadData, match=why):
        source(root, "test")


def test_a_file_that_is_damaged_or_of_another_kind_is_named(root):
    write(root, "other", [spelt()])
    with pytest.raises(BadData, match="no struct array testCharBound with ImgName, chars, charBB"):
        source(root, "test")
    for data in (b"", b"nothing", (ROOT / "IIIT5K/testCharBound.mat").read_bytes()[:200]):
        (root / "IIIT5K/testCharBound.mat").write_bytes(data)
        with pytest.raises(BadData, match=r"testCharBound\.mat: not a MATLAB file"):
            source(root, "test")


def test_files_that_name_other_images_are_refused(root):
    write(root, "trainCharBound", [spelt("train/7_1.png", "You")], split="train")
    with pytest.raises(BadData, match=r"traindata\.mat and trainCharBound\.mat name other images, such as"):
        source(root)


def test_a_photos_words_are_one_group_and_the_notes_say_what_labels_hold(root):
    found = source(root)
    groups = [found.read(row).record.meta.group for row in (0, 1, 2)]
    assert groups == ["iiit5k/train/7", "iiit5k/train/7", "iiit5k/train/12"]
    assert source(root, "test").read(0).record.meta.group == "iiit5k/test/7"
    assert found.notes == ["6 of 7 labels have lower-case letters, 1 more than letters and digits"]


def test_what_is_missing_is_said(root):
    with pytest.raises(BadSettings, match="train, test"):
        source(root, "val")
    (root / "IIIT5K/testCharBound.mat").unlink()
    with pytest.raises(BadData, match=r"testdata\.mat or testCharBound\.mat is needed there, found: none"):
        source(root, "test")


def test_a_changed_label_is_another_listing(root):
    before = source(root, "test").options
    write(root, "testCharBound", [spelt(), spelt("test/40_1.png", "9", 1)])
    assert source(root, "test").options == before
    write(root, "testCharBound", [spelt(), spelt("test/40_1.png", "8", 1)])
    assert source(root, "test").options != before
