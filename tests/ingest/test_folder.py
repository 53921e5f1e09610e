"""A folder's texts beside its images or in their names; lists are in test_labels."""

import shutil
from pathlib import Path

import pytest

from ingest.sources import Reject
from ingest.sources.folder import Settings, Source
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/folder/root"


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def beside(root):
    return Source(Settings(labels="beside", images="beside"), str(root), "train")


def named(root, pattern="{n}_{text}_{id}", images="named"):
    return Source(Settings(labels="name", pattern=pattern, images=images), str(root), "train")


def test_an_image_without_a_text_file_and_a_text_file_without_an_image_are_named():
    with pytest.raises(Reject, match=r"2\.png: missing_label"):
        beside(ROOT).read(0)
    with pytest.raises(Reject, match=r"4\.txt: missing_image"):
        beside(ROOT).read(2)


def test_a_text_file_holds_one_line_and_belongs_to_one_image(root):
    before = beside(root).options
    (root / "beside/a/1.txt").write_text("One three\n")
    assert beside(root).options != before
    (root / "beside/a/1.txt").write_text("One\ntwo\n")
    with pytest.raises(BadData, match=r"a/1\.txt:2: expected one line of text: 'two'"):
        beside(root)
    (root / "beside/a/1.txt").write_text("One")
    shutil.copy(root / "beside/2.png", root / "beside/2.jpg")
    with pytest.raises(BadData, match=r"beside/2\.\w+: another image would share its text file"):
        beside(root)


def test_a_text_from_a_name_says_so_and_is_as_long_as_can_be():
    found = named(ROOT)
    records = [found.read(row).record for row in (0, 1)]
    assert [record.words[0].text for record in records] == ["Word", "so_long"]
    assert {record.meta.kind for record in records} == {"text from the file name"}
    with pytest.raises(Reject, match=r"bare\.png: missing_label"):
        found.read(2)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [("{text}", "1_Word_9"), ("{n}_{text}", "Word_9"), ("{text}_{id}", "1_Word"), ("1_W{text}d_{x}", "or")],
)
def test_a_pattern_is_taken_literally_but_for_its_fields(pattern, text):
    assert named(ROOT, pattern).read(0).record.words[0].text == text


def test_letters_of_a_pattern_are_no_rules_of_their_own(root):
    (root / "named/1_Word_9.png").rename(root / "named/1+Word(9).png")
    assert named(root, "{n}+{text}(9)").read(0).record.words[0].text == "Word"


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"labels": "name"}, "labels=name go together"),
        ({"labels": "none", "pattern": "{text}"}, "labels=name go together"),
        ({"labels": "name", "pattern": "{n}_{id}"}, "expected {text} once"),
        ({"labels": "name", "pattern": "{text}_{text}"}, "expected {text} once"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(BadSettings, match=says):
        Source(Settings(**settings, images="named"), str(ROOT), "train")
