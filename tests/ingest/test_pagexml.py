"""PAGE XML: lines of two versions, which text counts, and what does not fit, named by file and line."""

import shutil
from pathlib import Path

import pytest

from ingest.sources.pagexml import Settings, Source
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/pagexml/root"


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def source(root, split="train", **settings):
    return Source(Settings(**settings), str(root), split)


FIRST = "page/0001.xml"


def test_the_text_of_the_lowest_index_counts_and_words_inside_a_line_do_not():
    record = source(ROOT, level="scenes").read(0).record
    assert [word.text for word in record.words] == ["In the beginning ", "was made here", None, None]
    assert all(word.legible for word in record.words)
    assert len(record.words[0].polygon) == 6
    assert record.words[1].polygon == ((10, 50), (110, 50), (110, 68), (10, 68))  # of three points: the box
    assert source(ROOT).notes == [
        "6 lines of 4 pages, 2 of them without a text; 1 images that no page names"
    ]  # fmt: skip


def test_lines_are_named_by_page_and_id_and_keep_page_and_script():
    first, second, other = (source(ROOT).read(row).record for row in range(3))
    assert (first.origin, first.meta.script) == ("0001.xml:l1", "Latn - Latin")
    assert first.meta.group == second.meta.group == "pagexml/0001.jpg"
    assert (other.origin, other.meta.group) == ("0002.xml:l", "pagexml/old/0002.png")
    assert first.size == (121, 23)


def test_a_mask_changes_the_pixels_outside_the_outline():
    plain, masked = source(ROOT), source(ROOT, crop="mask")
    assert plain.read(0).image != masked.read(0).image
    assert plain.options != masked.options


@pytest.mark.parametrize(
    ("old", "new", "line", "why"),
    [
        ("2019-07-15", "2010-03-19", 2, "expected PcGts of PAGE 2013 to 2019"),
        ("PcGts", "alto", 2, "expected PcGts of PAGE 2013 to 2019"),
        ("imageFilename=", "image=", 4, "expected imageFilename"),
        ('imageWidth="200"', 'imageWidth="2e2"', 4, "expected imageFilename"),
        ("0001.jpg", "../0001.jpg", 4, "does not stay below"),
        ('<TextLine id="l3">', "<TextLine>", 15, "a TextLine with an id"),
        ('id="l3"', 'id="l1"', 15, "id 'l1' stands there already"),
        ('<Coords points="10,90 110,90 110,108 10,108"/>', "", 15, "a TextLine with an id and one Coords"),
        ("10,90 110,90", "10.5,90 110,90", 15, "points of line l3"),
        ("10,90 110,90 110,108 10,108", "10,90", 15, "points of line l3"),
        ('index="1"', 'index="first"', 7, "a whole index"),
        ("<Unicode/>", "", 18, "one Unicode text"),
    ],
)
def test_what_does_not_fit_is_named(root, old, new, line, why):
    text = (root / FIRST).read_text()
    assert old in text
    (root / FIRST).write_text(text.replace(old, new))
    with pytest.raises(BadData, match=rf"0001\.xml:{line}: ") as caught:
        source(root)
    assert why in str(caught.value)


def test_a_file_has_one_page_and_an_image_one_file(root):
    shutil.copy(root / FIRST, root / "page/0009.xml")
    with pytest.raises(BadData, match=r"0009\.xml: '0001\.jpg' is the image of 0001\.xml already"):
        source(root)
    text = (root / FIRST).read_text()
    (root / FIRST).write_text(text[: text.index(" <Page")] + "</PcGts>")
    with pytest.raises(BadData, match="expected one Page, found 0"):
        source(root)


def test_a_changed_text_is_another_listing_and_splits_may_have_folders(root):
    before = source(root).options
    (root / FIRST).write_text((root / FIRST).read_text().replace("made", "wade"))
    assert source(root).options != before
    assert (source(root).per_split, source(root, "page", pages="{split}").per_split) == (False, True)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"level": "lines"}, BadSettings, "crops, scenes"),
        ({"pages": "xml"}, BadData, r"no \.xml in pages=xml"),
        ({"images": "scans"}, BadData, "no folder images=scans"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, error, says):
    with pytest.raises(error, match=says):
        source(ROOT, **settings)
