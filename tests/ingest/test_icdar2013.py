"""ICDAR 2013: two kinds of lists of words, chosen and never guessed, and photos with rectangles."""

import shutil
from pathlib import Path

import pytest

from ingest.sources.icdar2013 import Settings, Source
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/icdar2013/root"
BOM = b"\xef\xbb\xbf"
WORDS = "Challenge2_Training_Task3_Images_GT/gt.txt"
DIGEST = "icdar_2013_test_labels.txt"
SCENES = "Challenge2_Training_Task1_GT/gt_100.txt"


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def source(root, split="train", **settings):
    return Source(Settings(**settings), str(root), split)


def texts(source):
    return [row.text for row in source.level.rows]


@pytest.mark.parametrize("below", ["", "Challenge2_Test_Task3_Images"])
@pytest.mark.parametrize("listing", ["", "Challenge2_Test_Task3_Images"])
def test_words_are_found_from_either_folder_with_the_list_inside_or_beside(root, below, listing):
    name = "Challenge2_Test_Task3_GT.txt"
    (root / name).rename(root / listing / name)
    found = source(root / below, "test")
    assert texts(found) == ["Made", "here"]
    assert found.read(0).record.words[0].text == "Made"
    assert found.options == source(ROOT, "test").options


def test_one_splits_images_never_meet_the_others_labels(root):
    shutil.copy(root / "Challenge2_Test_Task3_GT.txt", root / "Challenge2_Training_Task3_Images_GT")
    with pytest.raises(BadData, match="no ICDAR 2013 test words"):
        source(root / "Challenge2_Training_Task3_Images_GT", "test")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'word_9.png "x"', 'expected path, "text"'),
        (b"word_9.png, x", 'expected path, "text"'),
        (b'word_9.png, "x', 'expected path, "text"'),
        (b'word_9.png, "a\\n"', "backslash before 'n'"),
        (b'word_9.png, "a\\"', "the closing quote"),
        (b'word_9.png, "\xff"', "not UTF-8"),
        (b'./word_1.png, "again"', "is the image of line 1 already"),
    ],
)
def test_a_line_of_the_published_list_that_does_not_fit_is_named(root, line, why):
    (root / WORDS).write_bytes(BOM + b'word_1.png, "Own"\r\n' + line + b"\r\n")
    with pytest.raises(BadData, match=r"gt\.txt:2: ") as caught:
        source(root)
    assert why in str(caught.value)


def test_a_digested_list_keeps_what_stands_behind_the_first_space(root):
    (root / DIGEST).write_bytes(BOM + b'a.png "x"\r\nb.png  y \nc.png a,\\b\n')
    assert texts(source(root, "test", format="digested")) == ['"x"', " y ", "a,\\b"]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"word_9.png", "expected path SPACE text"),
        (b" word_9.png", "expected path SPACE text"),
        (b'word_9.png, "x"', "no comma: format=icdar"),
        (b"word_9.png \xff", "not UTF-8"),
        (b"../word_9.png x", "does not stay below"),
        (b"word_1.png again", "stands on line 1 already"),
    ],
)
def test_a_line_of_a_digested_list_that_does_not_fit_is_named(root, line, why):
    (root / DIGEST).write_bytes(b"word_1.png Own\n" + line + b"\n")
    with pytest.raises(BadData, match=r"icdar_2013_test_labels\.txt:2: ") as caught:
        source(root, "test", format="digested")
    assert why in str(caught.value)


def test_a_digest_of_lexicon_numbers_is_refused(root):
    (root / DIGEST).write_text("./word_1.png 4512\n./word_2.png 77\n")
    with pytest.raises(BadData, match=r"icdar_2013_test_labels\.txt: every label is a number"):
        source(root, "test", format="digested")
    (root / DIGEST).write_text("./word_1.png 4512\n./word_2.png here\n")
    assert len(source(root, "test", format="digested")) == 2


def test_the_images_of_a_digested_list_may_stand_elsewhere(root):
    (root / DIGEST).write_text("word_1.png Made\n")
    found = source(root, "test", format="digested", images="Challenge2_Test_Task3_Images")
    assert found.read(0).record.origin == "word_1.png"
    with pytest.raises(BadData, match=r"expected icdar_2013_test_labels\.txt and .*raw/test/"):
        source(root, "test", format="digested", images="{split}")


def test_photos_come_by_number_and_their_rectangles_as_corners():
    found = source(ROOT, level="scenes")
    assert [photo.image for photo in found.level.rows] == ["99.jpg", "100.jpg", "101.jpg"]
    words = found.read(1).record.words
    assert words[0].polygon == ((20, 30), (50, 30), (50, 48), (20, 48))
    assert [word.legible for word in words] == [True, True, False]
    assert found.read(1).record.meta.group == "icdar2013/train/100.jpg"
    assert source(ROOT, "test", level="scenes").read(0).record.meta.group == "icdar2013/test/img_1.jpg"


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('1 2 3 "x"', "whole pixels"),
        ('1, 2, 3 4, "x"', "whole pixels"),
        ('1,2,3,4,"x"', "whole pixels"),
        ('1.0 2 3 4 "x"', "whole pixels"),
        ("1 2 3 4 x", "whole pixels"),
        ('1 2 3 4  "x"', "whole pixels"),
        ('3 2 1 4 "x"', "lies before the first"),
        ('1 2 3 4 ""', "no text"),
        ('1 2 3 4 "\\t"', "backslash before 't'"),
        ("377,117,463,117,465,130,378,130,Genaxis", "whole pixels"),
    ],
)
def test_a_rectangle_that_does_not_fit_is_named(root, line, why):
    (root / SCENES).write_text(f'1 2 3 4 "fine"\n{line}\n')
    with pytest.raises(BadData, match=r"gt_100\.txt:2: ") as caught:
        source(root, level="scenes")
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"level": "crops"}, "words, scenes"),
        ({"format": "csv"}, "icdar, digested"),
        ({"level": "scenes", "format": "digested"}, "format=digested is for level=words"),
        ({"images": "x"}, "images=x is for format=digested"),
        ({"level": "scenes", "images": "x"}, "images=x is for format=digested"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(BadSettings, match=says):
        source(ROOT, **settings)


def test_what_is_missing_is_said(root):
    with pytest.raises(BadSettings, match="train, test"):
        source(root, "val")
    shutil.rmtree(root / "Challenge2_Test_Task1_GT")
    with pytest.raises(BadData, match="no ICDAR 2013 test photos; expected Challenge2_Test_Task12_Images/"):
        source(root, "test", level="scenes")
    (root / "Challenge2_Test_Task3_GT.txt").unlink()
    with pytest.raises(BadData, match="no ICDAR 2013 test words; expected Challenge2_Test_Task3_Images/word"):
        source(root, "test")
