"""PaddleOCR's lists: texts behind a TAB, words behind a TAB in JSON."""

import shutil
from pathlib import Path

import pytest

from ingest.sources.paddle_labels import Settings, Source
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/paddle_labels/root"


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def source(root, split="train", **settings):
    return Source(Settings(**settings), str(root), split)


def test_folders_of_a_path_are_kept_and_two_images_of_one_name_are_told_apart():
    rows = [source(ROOT).read(row).record for row in (0, 1)]
    assert [(row.origin, row.words[0].text) for row in rows] == [
        ("rec/a/1.png", "One"), ("rec/b/1.png", "two  words ")
    ]  # fmt: skip


def test_both_marks_are_ignored_and_an_empty_text_is_not_transcribed():
    record = source(ROOT, level="scenes").read(0).record
    assert [(word.text, word.legible) for word in record.words] == [
        ("OPEN", True), (None, False), ("til ", True), (None, False), (None, True)
    ]  # fmt: skip
    assert record.words[2].polygon == ((20, 60), (30, 58.5), (42, 60), (42, 76), (30, 78), (20, 76))
    assert record.meta.group == "paddle_labels/det/7.jpg"


def test_a_word_is_named_by_its_line_and_its_place_and_ends_at_whole_pixels():
    word = source(ROOT, level="crops").read(1).record
    assert (word.origin, word.size) == ("det_gt_train.txt:1:3", (23, 21))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("OPEN", "not JSON after the TAB"),
        ("[{'transcription': 'x'}]", "not JSON after the TAB"),
        ('{"transcription": "x"}', "expected a JSON list"),
        ("[7]", "word 1: expected a transcription and points"),
        ('[{"points": [[1,1],[5,1],[5,5],[1,5]]}]', "word 1: expected a transcription and points"),
        ('[{"transcription": "x", "points": [[1,1],[5,1],[5,5],[1]]}]', "word 1: expected a transcription"),
        (
            '[{"transcription": "x", "points": [[1,1],[5,1],[5,5],[1,NaN]]}]',
            "word 1: expected a transcription",
        ),
        ('[{"transcription": "x", "points": [[1,1],[5,1],[5,5]]}]', "word 1: 3 points, at least 4"),
    ],
)
def test_a_line_that_does_not_fit_is_named(root, text, why):
    (root / "det_gt_train.txt").write_text(f"det/8.jpg\t[]\ndet/7.jpg\t{text}\n")
    with pytest.raises(BadData, match=r"det_gt_train\.txt:2: ") as caught:
        source(root, level="scenes")
    assert why in str(caught.value)


@pytest.mark.parametrize("line", ["rec/b/1.png One", "\tOne", "./rec/a/1.png\tagain", "../x.png\tOne"])
def test_a_line_of_texts_that_does_not_fit_is_named(root, line):
    (root / "rec_gt_train.txt").write_text(f"rec/a/1.png\tOne\n{line}\n")
    with pytest.raises(BadData, match=r"rec_gt_train\.txt:2: "):
        source(root)


def test_the_list_and_the_folder_of_its_images_may_be_others(root):
    (root / "rec/list.txt").write_text("a/1.png\tOne\n")
    found = source(root, labels="rec/list.txt", images="rec")
    assert found.read(0).record.origin == "a/1.png"
    assert (found.per_split, source(root).per_split) == (False, True)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"level": "rec"}, BadSettings, "words, scenes, crops"),
        ({"crop": "mask"}, BadSettings, "level is words"),
        ({"level": "scenes", "crop": "mask"}, BadSettings, "level is scenes"),
        ({"labels": "x.txt"}, BadData, r"x\.txt: no readable label file"),
        ({"images": "x"}, BadData, "images=x: no such folder"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, error, says):
    with pytest.raises(error, match=says):
        source(ROOT, **settings)
