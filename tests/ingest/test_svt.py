"""Street View Text: boxes of its XML become crops; what does not fit is named with the line."""

import io
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ingest.sources import Reject
from ingest.sources.svt import Settings, Source
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/svt/root"
BOX = '<taggedRectangle height="75" width="236" x="375" y="253">'
IMAGE = (
    '<image><imageName>img/1.jpg</imageName><Resolution x="9" y="9"/>\n'
    f"<taggedRectangles>\n{BOX}<tag>LIVING</tag></taggedRectangle></taggedRectangles></image>"
)


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def source(root, split="train"):
    return Source(Settings(), str(root), split)


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_a_crop_is_the_photos_own_pixels_and_ends_at_its_border():
    photo = pixels((ROOT / "svt1/img/00_01.jpg").read_bytes())
    found = source(ROOT)
    for row, part in ((0, photo[30:48, 18:60]), (2, photo[98:, 128:])):
        sample = found.read(row)
        np.testing.assert_array_equal(pixels(sample.image), part)
        assert sample.record.size == part.shape[1::-1]
        assert (sample.suffix, sample.record.transcoded) == ("png", True)
        assert sample.record.words[0].polygon is None


def test_the_notes_count_what_was_cut_off_and_what_is_not_kept():
    assert source(ROOT).notes == [
        "8 boxes of 4 photos, cut here and stored as PNG; 2 of them reach beyond their photo and end at its "
        "border",
        "lexica of 3 to 3 words, one beside each photo, are not kept",
    ]


def test_words_of_a_photo_are_one_group_and_equal_words_are_told_apart():
    rows = [source(ROOT).read(row).record for row in range(3)]
    assert {row.meta.group for row in rows} == {"svt/train/img/00_01.jpg"}
    assert [row.origin for row in rows] == ["train.xml:9", "train.xml:12", "train.xml:15"]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (3, r"^train\.xml:18: outside_photo"),
        (4, r"^train\.xml:21: empty_label of img/00_01\.jpg"),
        (5, r"^train\.xml:24: empty_box"),
        (6, r"^train\.xml:35: size_differs img/00_02\.jpg \(140, 90\) pixels, annotated as \(140, 91\)"),
        (7, r"^train\.xml:46: missing_image img/00_04\.jpg"),
    ],
)
def test_a_word_that_cannot_be_cut_names_its_line(row, why):
    with pytest.raises(Reject, match=why):
        source(ROOT).read(row)


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("tagset", "imageset", 1, "expected a tagset"),
        ("imageName", "name", 2, "expected an image"),
        ("Resolution", "Size", 2, "expected an image"),
        ("taggedRectangles>", "rectangles>", 2, "expected an image"),
        ("image>", "photo>", 2, "expected an image"),
        ('x="9"', "", 2, "with numbers x, y expected"),
        ("img/1.jpg", "../1.jpg", 2, "does not stay below"),
        ("tag>", "word>", 4, "a taggedRectangle with a tag"),
        ("LIVING", "LIV<b/>ING", 4, "a taggedRectangle with a tag"),
        (f"{BOX}<tag>LIVING</tag></taggedRectangle>", "<box/>", 4, "a taggedRectangle with a tag"),
        ('x="375"', 'left="375"', 4, "with numbers x, y, width, height"),
        ('x="375"', 'x="nan"', 4, "with numbers x, y, width, height"),
        ('x="375"', 'x="3 75"', 4, "with numbers x, y, width, height"),
        ('y="253"', 'y="253" rotation="left"', 4, "with numbers rotation"),
        ("</image>", "</image>\n" + IMAGE, 5, "stands there already"),
    ],
)
def test_what_does_not_fit_is_named(root, old, new, line, why):
    text = f"<tagset>\n{IMAGE}</tagset>"
    (root / "svt1/train.xml").write_text(text)
    assert len(source(root)) == 1
    (root / "svt1/train.xml").write_text(text.replace(old, new))
    with pytest.raises(BadData, match=rf"train\.xml:{line}: ") as caught:
        source(root)
    assert why in str(caught.value)


def test_what_is_missing_or_there_twice_is_said(root):
    with pytest.raises(BadSettings, match="train, test"):
        source(root, "val")
    shutil.copytree(root / "svt1", root / "copy")
    with pytest.raises(BadData, match=r"one folder with train\.xml is needed there, found: .*copy.*svt1"):
        source(root)


def test_the_xml_is_found_from_its_own_folder_and_a_changed_tag_is_another_listing(root):
    before = source(root).options
    assert source(root / "svt1").options == before
    file = root / "svt1/train.xml"
    file.write_text(file.read_text().replace("CAFE<", "CAVE<"))
    assert source(root).options != before
