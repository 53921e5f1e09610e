"""Lists of annotated words: what is written comes back, and what does not fit is named with file and line."""

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.regions import QUADS, photos, read
from ingest.sources import Reject
from ingest.sources.icdar2015 import Settings, Source
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/icdar2015/root"
LISTS = "ch4_training_localization_transcription_gt"
TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), min_size=1, max_size=12)
TEXTS = st.lists(TEXT | st.sampled_from(["###", "a,b,,c", ",", " a ", '"x"', "\u2028", "####", "# ##"]))
CORNERS = st.lists(st.integers(-9999, 99999), min_size=8, max_size=8)


@given(texts=TEXTS, corners=CORNERS, end=st.sampled_from(["\n", "\r\n"]), bom=st.booleans())
def test_lists_come_back(tmp_path_factory, texts, corners, end, bom):
    file = tmp_path_factory.getbasetemp() / "gt_img_1.txt"
    front = ",".join(map(str, corners))
    file.write_bytes(b"\xef\xbb\xbf" * bom + "".join(f"{front},{text}{end}" for text in texts).encode())
    regions = read(file, QUADS)
    assert [region.text for region in regions] == [None if text == "###" else text for text in texts]
    assert [region.line for region in regions] == [n + 1 for n in range(len(texts))]
    for region in regions:
        assert [v for point in region.quad for v in point] == corners
        assert region.word.legible == (region.text is not None)
        assert region.word.polygon == region.quad


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b"1,2,3,4,5,6,7,word", "whole pixels"),
        (b"1,2,3,4,5,6,7,8", "whole pixels"),
        (b"1,2,3,4,5,6,7,8.5,word", "whole pixels"),
        (b"1,2,3,4,5,6,7,,word", "whole pixels"),
        (b"1,2,3,4,5,6,7, 8,word", "whole pixels"),
        (b"1,2,3,4,5,6,7,1_0,word", "whole pixels"),
        (b"1,2,3,4,5,6,7,12345678,word", "whole pixels"),
        ("1,2,3,4,5,6,7,٣,word".encode(), "whole pixels"),
        (b'word_1.png, "word"', "whole pixels"),
        (b"1,2,3,4,5,6,7,8,", "no text"),
        (b"1,2,3,4,5,6,7,8,\xff", "UTF-8"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path, line, why):
    file = tmp_path / "gt_img_1.txt"
    file.write_bytes(b"\xef\xbb\xbf1,2,3,4,5,6,7,8,fine\n" + line + b"\n")
    with pytest.raises(BadData, match=r"gt_img_1\.txt:2: ") as caught:
        read(file, QUADS)
    assert why in str(caught.value)


def test_photos_come_by_number_and_other_files_are_none(tmp_path):
    for name in (
        "img_10.jpg",
        "img_9.jpg",
        "img_x.jpg",
        "imga.jpg",
        "img_1.png",
        "gt_img_12.txt",
        "gt_12.txt",
    ):
        (tmp_path / name).write_bytes(b"")
    found = [(photo.image, photo.regions) for photo in photos(tmp_path, tmp_path, QUADS)]
    assert found == [("img_9.jpg", None), ("img_10.jpg", None), ("img_12.jpg", ())]


def test_a_photo_without_its_list_is_no_photo_without_words():
    scenes = Source(Settings("scenes"), str(ROOT), "train")
    with pytest.raises(Reject, match=r"img_3\.jpg: missing_list no gt_img_3\.txt"):
        scenes.read(2)
    assert scenes.read(4).record.words == ()  # its list is there and empty


def test_a_broken_line_stops_before_anything_is_written(tmp_path, shard):
    shutil.copytree(ROOT, tmp_path / "raw")
    with open(tmp_path / "raw" / LISTS / "gt_img_2.txt", "a") as file:
        file.write("1,2,3,word\n")
    for level in ("scenes", "crops"):
        code, said = shard(
            "source=icdar2015", f"level={level}", f"root={tmp_path / 'raw'}", f"out={tmp_path}/out"
        )
        assert (code, "gt_img_2.txt:5" in said) == (3, True), said
        assert not (tmp_path / "out").exists()


def test_all_samples_of_a_photo_are_one_group_whatever_the_level_and_no_other_splits():
    def groups(level, split):
        source = Source(Settings(level), str(ROOT), split)
        return source.read(0).record.meta.group

    assert groups("scenes", "train") == groups("crops", "train") == "icdar2015/train/img_1.jpg"
    assert groups("scenes", "test") != groups("scenes", "train")


def test_levels_and_crops_are_other_data_sets():
    ways = [("words", "box"), ("scenes", "box"), ("crops", "box"), ("crops", "perspective")]
    options = [Source(Settings(*way), str(ROOT), "train").options for way in ways]
    assert all(one != other for i, one in enumerate(options) for other in options[:i])


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (("crops", "round"), "box, perspective"),
        (("scenes", "perspective"), "level=crops"),
        (("lines", "box"), "words, crops, scenes"),
    ],
)
def test_settings_that_cannot_be_are_refused(settings, says):
    with pytest.raises(BadSettings, match=says):
        Source(Settings(*settings), str(ROOT), "train")


def test_photos_that_exif_has_turned_are_rejected_since_corners_might_not_fit(tmp_path, encoded):
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    shutil.copytree(ROOT, tmp_path / "raw")
    (tmp_path / "raw/ch4_training_images/img_1.jpg").write_bytes(encoded("JPEG", exif=exif))
    for level, origin in (("scenes", r"img_1\.jpg"), ("crops", r"gt_img_1\.txt:1")):
        with pytest.raises(Reject, match=f"^{origin}: turned"):
            Source(Settings(level), str(tmp_path / "raw"), "train").read(0)


def test_a_damaged_photo_rejects_each_of_its_words_and_no_other(tmp_path):
    shutil.copytree(ROOT, tmp_path / "raw")
    photo = tmp_path / "raw/ch4_training_images/img_1.jpg"
    photo.write_bytes(photo.read_bytes()[:200])
    source = Source(Settings("crops"), str(tmp_path / "raw"), "train")
    for row, line in ((0, 1), (1, 3)):
        with pytest.raises(Reject, match=rf"^gt_img_1\.txt:{line}: truncated img_1\.jpg"):
            source.read(row)
    assert source.read(2).record.words[0].text == "Back"
