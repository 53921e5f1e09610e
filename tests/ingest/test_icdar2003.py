"""ICDAR 2003: decimal boxes, the declared encoding, and which folder is which split."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from ingest import crops
from ingest.sources.icdar2003 import Settings, Source
from shards import geometry
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/icdar2003/root"
PLACES = st.integers(-9999, 99999).map(lambda tenths: tenths / 10)
LENGTHS = st.integers(1, 9999).map(lambda tenths: tenths / 10)


def source(root, split="train"):
    return Source(Settings(), str(root), split)


def test_decimal_boxes_are_rounded_outward_and_end_at_the_border():
    photo = np.asarray(Image.open(ROOT / "SceneTrialTrain/own_01.01.2020/IMG_1.JPG"))
    found = source(ROOT)
    for row, part in ((0, photo[30:49, 17:61]), (1, photo[59:80, :])):
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(found.read(row).image))), part)


@given(x=PLACES, y=PLACES, width=LENGTHS, height=LENGTHS)
def test_touched_pixels_hold_the_box_and_no_more(x, y, width, height):
    left, top, right, bottom = geometry.box(crops.touched(x, y, width, height))
    for first, last, start, length in ((left, right, x, width), (top, bottom, y, height)):
        assert 0 <= start - first + 1e-9 < 1
        assert 0 <= last + 1 - (start + length) + 1e-9 < 1


def test_the_declared_encoding_and_the_escapes_of_xml_count():
    assert [box.text for _, box in source(ROOT).rows] == ["Café", "Fish", "R&D"]


def test_a_byte_outside_the_declared_encoding_names_its_line(tmp_path):
    root = Path(shutil.copytree(ROOT, tmp_path / "raw"))
    file = root / "SceneTrialTrain/words.xml"
    file.write_bytes(file.read_bytes().replace(b"iso-8859-1", b"utf-8"))
    with pytest.raises(BadData, match=r"words\.xml:8: not XML"):
        source(root)


def test_turned_boxes_are_counted_and_equal_names_in_other_folders_are_other_photos():
    found = source(ROOT)
    assert found.notes[1:] == ["1 boxes are said to be slanted or turned; all are cut upright"]
    groups = [found.read(row).record.meta.group for row in range(3)]
    assert groups[0] == groups[1] != groups[2]


def test_folders_name_their_split_and_others_are_refused(tmp_path):
    with pytest.raises(BadSettings, match="train, test"):
        source(ROOT, "val")
    shutil.copytree(ROOT / "SceneTrialTrain", tmp_path / "SceneTrialTrain")
    assert source(tmp_path).options == source(ROOT).options
    with pytest.raises(BadData, match=r"no ICDAR 2003 test words; expected SceneTrialTest/words\.xml"):
        source(tmp_path, "test")
