"""COCO-Text: words and photos of its JSON; whatever does not fit is named by the file and the id."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ingest.sources.coco_text import Settings, Source
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/coco_text/root"
PHOTO = "COCO_train2014_000000000009.jpg"
NAN = float("nan")


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def source(root, split="train", **settings):
    return Source(Settings(**settings), str(root), split)


def change(root, part, key, **fields):
    """Fields of an entry of the JSON, replaced; None removes one, no fields the whole entry."""
    file = root / "cocotext.v2.json"
    said = json.loads(file.read_text())
    entry = {**said[part][key], **fields} if fields else None
    said[part] = {**said[part], key: entry} if entry else {k: v for k, v in said[part].items() if k != key}
    file.write_text(json.dumps(said))


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def test_a_crop_holds_every_pixel_its_box_touches_and_knows_language_and_class():
    photo = pixels((ROOT / "train2014" / PHOTO).read_bytes())
    first, second, edge = (source(ROOT).read(row) for row in range(3))
    np.testing.assert_array_equal(pixels(first.image), photo[30:48, 18:58])
    np.testing.assert_array_equal(pixels(edge.image), photo[98:, 128:])
    assert (first.record.origin, first.record.transcoded) == (f"{PHOTO}:1", True)
    assert (first.record.meta.language, first.record.meta.kind) == ("english", "machine printed")
    assert (second.record.meta.language, second.record.meta.kind) == ("not english", "handwritten")
    assert first.record.meta.group == second.record.meta.group == f"coco_text/train/{PHOTO}"


def test_a_mask_blackens_what_is_outside_the_outline_and_nothing_else():
    plain, masked = (pixels(source(ROOT, mask=mask).read(0).image) for mask in (False, True))
    y, x = np.mgrid[30:48, 18:58] + 0.5  # the centres of the crop's pixels
    beyond = np.maximum(x - 57.2, ((x - 57.3) * 7.5 + (y - 40) * 7.3) / np.hypot(7.5, 7.3))
    assert (masked[beyond > 1] == 0).all()
    np.testing.assert_array_equal(masked[beyond < -1], plain[beyond < -1])
    assert 20 < (beyond > 1).sum() < (masked != plain).any(-1).sum() < 70
    assert source(ROOT, mask=True).options != source(ROOT).options
    boxes = [pixels(source(ROOT, mask=mask).read(1).image) for mask in (False, True)]
    np.testing.assert_array_equal(*boxes)


def test_scenes_ignore_what_is_illegible_and_keep_what_is_not_transcribed():
    words = source(ROOT, level="scenes").read(0).record.words
    assert [(word.text, word.legible) for word in words] == [
        (None, False), ("Open", True), ("til ", True), ("EDGE", True), (None, True), ("thin", True)
    ]  # fmt: skip
    assert words[1].polygon == ((18.4, 30), (57, 30), (57.3, 40), (50, 47.5), (18.4, 47.5))
    assert words[3].polygon == ((128, 98), (188, 98), (188, 138), (128, 138))  # of three points: the box


def test_an_illegible_word_with_a_text_is_no_crop_and_is_ignored_in_its_scene(root):
    change(root, "anns", "5", utf8_string="perhaps")
    assert len(source(root)) == len(source(ROOT))
    word = source(root, level="scenes").read(0).record.words[0]
    assert (word.text, word.legible) == ("perhaps", False)


def test_photos_come_by_number_and_only_an_empty_list_says_that_there_are_no_words():
    found = source(ROOT, level="scenes")
    assert [int(photo.image[15:-4]) for photo in found.level.rows] == [9, 10, 11, 12, 13, 100]
    assert found.read(1).record.words == ()
    assert found.notes == [
        "9 words of 6 photos, 2 of them without words: 6 english, machine printed; 1 not english, handwritten"
        "; 1 legible without a text, 1 illegible"
    ]


def test_a_split_that_nobody_annotated_is_refused():
    with pytest.raises(BadData, match="no photo of split=test has a word"):
        source(ROOT, "test", level="scenes")


@pytest.mark.parametrize(
    ("part", "key", "fields", "why"),
    [
        ("imgs", "9", {"set": "dev"}, "imgs 9: set 'dev', expected train, val, test"),
        ("imgs", "9", {"id": 8}, "imgs 9: its id is 8"),
        ("imgs", "9", {"id": "x"}, "imgs 9: 'x' is no id"),
        ("imgs", "9", {"width": "160"}, "imgs 9: width and height are numbers"),
        ("imgs", "9", {"file_name": None}, "imgs 9: file_name is None"),
        ("imgs", "9", {"file_name": "../x.jpg"}, "imgs 9: path '../x.jpg' does not stay below"),
        ("imgs", "9", {"file_name": "COCO_train2014_000000000010.jpg"}, "2 of imgs have the file_name"),
        ("anns", "1", {"id": 2}, "anns 1: its id is 2"),
        ("anns", "1", {"image_id": 10}, "imgToAnns 9 has anns 1 1 times, whose image_id is 10"),
        ("anns", "20", {"image_id": 10}, "imgToAnns 10 has anns 20 0 times, whose image_id is 10"),
        ("anns", "1", {}, "imgToAnns 9 has anns 1 1 times, whose image_id is None"),
        ("imgToAnns", "9", {}, "imgToAnns 9 has anns 1 0 times, whose image_id is 9"),
        ("anns", "1", {"legibility": "partly"}, "anns 1: legibility 'partly', expected legible or illegible"),
        ("anns", "1", {"utf8_string": 7}, "anns 1: utf8_string, language and class are texts"),
        ("anns", "1", {"bbox": [1, 2, 3]}, "anns 1: bbox are numbers"),
        ("anns", "1", {"bbox": [1, 2, 3, NAN]}, "anns 1: bbox are numbers"),
        ("anns", "1", {"bbox": [1, 2, 3, True]}, "anns 1: bbox are numbers"),
        ("anns", "1", {"mask": "1,2,3,4"}, "anns 1: mask are numbers"),
        ("anns", "1", {"mask": [1, 2, 3]}, "anns 1: mask has 3 numbers, expected pairs"),
    ],
)
def test_what_does_not_fit_is_named(root, part, key, fields, why):
    change(root, part, key, **fields)
    with pytest.raises(BadData, match=r"cocotext\.v2\.json: ") as caught:
        source(root)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b'{"imgs": {},\n "anns": {', "json:2: not JSON"),
        (b'{"imgs": {},\n "anns": "\xff"}', "json:2: not UTF-8"),
        (b'{"imgs": {}, "anns": {}}', "expected an object with imgs, anns, imgToAnns"),
        (b"[]", "expected an object with imgs, anns, imgToAnns"),
        (b'{"imgs": {"x": {}}, "anns": {}, "imgToAnns": {}}', "imgs: 'x' is no id"),
        (b'{"imgs": {"1": []}, "anns": {}, "imgToAnns": {}}', r"imgs 1: found \[\]"),
        (b'{"imgs": {}, "anns": {}, "imgToAnns": {"1": 4}}', "imgToAnns 1: found 4"),
    ],
)
def test_a_file_of_another_kind_is_named(root, data, why):
    (root / "cocotext.v2.json").write_bytes(data)
    with pytest.raises(BadData, match=why):
        source(root)


def test_ids_may_be_written_either_way(root):
    before = source(root).options
    change(root, "anns", "1", image_id="9", id="1")
    assert source(root).options == before


def test_what_is_said_of_a_word_is_part_of_the_listing(root):
    before = source(root).options
    change(root, "anns", "1", language="not english")
    assert source(root).options != before


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        ({"level": "words"}, BadSettings, "crops, scenes"),
        ({"level": "scenes", "mask": True}, BadSettings, "mask=true is for level=crops"),
        ({"images": "val2014"}, BadData, "images=val2014: no such folder below root="),
        ({"images": "../raw"}, BadData, "does not stay below"),
        ({"annotations": "x.json"}, BadData, r"annotations=x\.json: no such file below root="),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, error, says):
    with pytest.raises(error, match=says):
        source(ROOT, **settings)
    with pytest.raises(BadSettings, match="train, val, test"):
        source(ROOT, "dev")
