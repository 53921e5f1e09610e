"""Labels by code: what each base means, which list is taken, and what is refused."""

import shutil
from pathlib import Path

import pytest

from ingest.sources.ycg09 import Settings, Source
from shards import manifest
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/ycg09/root"


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


def source(root, split="train", alphabet="char_std.txt", base="0", **settings):
    return Source(Settings(alphabet=alphabet, base=base, **settings), str(root), split)


def text(source, row=0):
    return source.read(row).record.words[0].text


def test_the_published_example_of_digits_reads_as_its_file_name_says(root, encoded):
    """The list line and alphabet of crnn.pytorch's documentation."""
    (root / "images/00320_00091.jpg").write_bytes(encoded("JPEG"))
    (root / "digits.txt").write_text("\n".join("0123456789") + "\n")
    (root / "train.txt").write_text("00320_00091.jpg 10 10 4 6 4 4 7 2 1 6 7 8 5 3\n")
    found = source(root, alphabet="digits.txt", base="1", labels="train.txt")
    assert text(found) == "99353361056742"


def test_the_base_must_be_said_and_the_error_says_what_each_choice_means(root):
    with pytest.raises(BadSettings, match=r"first line, ' ', is: base=0 the blank's place, base=1 the first"):
        source(root, base="")
    with pytest.raises(BadSettings, match="alphabet=FILE names"):
        source(root, alphabet="")


def test_the_other_base_is_another_text_and_another_data_set(root):
    zero, one = source(root), source(root, base="1")
    assert (text(zero, 1), text(one, 1)) == ("一A", " 一")
    assert zero.options["listing"] == one.options["listing"]
    assert zero.options != one.options


def test_characters_that_stand_twice_are_counted_and_shown(root):
    assert "characters that have several: 1, '一' (codes 2, 4)" in source(root).notes[1]
    (root / "char_std.txt").write_text("\nx\n的\n一\n \nA\n")
    assert source(root).notes[1].endswith("5 codes; characters that have several: 0")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("1_a.png 0", "expected IMAGE CODE"),
        ("1_a.png 1 0 2", "expected IMAGE CODE"),
        ("1_a.png 1 00", "expected IMAGE CODE"),
        ("1_a.png", "expected IMAGE CODE"),
        ("1_a.png 1 A", "expected IMAGE CODE"),
        ("1_a.png  1", "expected IMAGE CODE"),
        ("1_a.png -1", "expected IMAGE CODE"),
        ("", "expected IMAGE CODE"),
        ("../1_a.png 1", "expected IMAGE CODE"),
        ("t/../../1_a.png 1", "expected IMAGE CODE"),
        ("t\\..\\1_a.png 1", "expected IMAGE CODE"),
        ("/1_a.png 1", "expected IMAGE CODE"),
        ("C:\\1_a.png 1", "expected IMAGE CODE"),
        ("1_a.png 2 6", r"code 6 of .* ends at 5: another alphabet, or the other base"),
        ("1_a.png 1 2 3", "stands on line 1 already"),
    ],
)
def test_a_line_that_does_not_fit_is_named(root, line, why):
    lines = (root / "data_train.txt").read_text().splitlines()
    (root / "data_train.txt").write_text("\n".join([*lines[:2], line, *lines[2:]]) + "\n")
    with pytest.raises(BadData, match=rf"data_train\.txt:3: .*{why}"):
        source(root)


def test_a_code_of_the_last_line_is_not_beyond(root):
    (root / "data_train.txt").write_text("1_a.png 5\n")
    assert text(source(root)) == "A"
    (root / "data_train.txt").write_text("1_a.png 6\n")
    assert text(source(root, base="1")) == "A"


def test_a_list_in_another_encoding_is_refused_and_not_guessed(root):
    (root / "data_train.txt").write_bytes("的.png 1\n".encode("gb18030"))
    with pytest.raises(BadData, match=r"data_train\.txt:1: not UTF-8"):
        source(root)


def test_the_list_taken_is_said_and_another_may_be_named(root):
    found = source(root, "test")
    assert found.notes[0] == "the list is data_test.txt; test.txt is there too, labels=test.txt takes it"
    assert text(found) == "一的"
    other = source(root, "test", labels="test.txt")
    assert (text(other), len(other.notes), other.per_split) == ("A", 1, False)
    assert source(root, "data_train", labels="{split}.txt").per_split
    (root / "train.txt").write_text("1_a.png 1\n")
    (root / "data_train.txt").unlink()
    assert source(root).notes[0] == "the list is train.txt"


def test_what_is_missing_is_named(root):
    with pytest.raises(BadData, match=r"split=val; expected dev\.txt, or labels=FILE"):
        source(root, "val")
    with pytest.raises(BadSettings, match=r"'dev'.*train, val, test.*labels=FILE"):
        source(root, "dev")
    with pytest.raises(BadData, match=r"none\.txt: no readable list"):
        source(root, labels="none.txt")
    with pytest.raises(BadSettings, match=r"keys\.txt: No such file"):
        source(root, alphabet="keys.txt")
    with pytest.raises(BadData, match="images=crops: no such folder"):
        source(root, images="crops")
    with pytest.raises(BadData, match="does not stay below"):
        source(root, images="../images")


def test_images_may_stand_beside_the_list(root):
    shutil.copy(root / "images/1_a.png", root / "x.png")
    (root / "train.txt").write_text("x.png 1\n")
    assert source(root, images="", labels="train.txt").read(0).record.size == (20, 8)


def test_the_command_says_which_list_and_which_characters(root, tmp_path, shard):
    arguments = ("alphabet=char_std.txt", "base=0", "split=test", f"out={tmp_path / 'out'}")
    code, said = shard("source=ycg09", f"root={root}", *arguments)
    assert code == 0, said
    assert "test: the list is data_test.txt" in said
    assert "characters that have several: 1" in said
    assert manifest.load(tmp_path / "out/test").written == 1


@pytest.mark.real
def test_all_lines_of_the_real_piece_are_spelled(tmp_path, shard, real):
    where = (f"root={real / 'chinese_ycg09_layout/train'}", f"out={tmp_path}")
    settings = ("alphabet=char_std_5990.txt", "base=0", "split=train,test", "max_reject_frac=0", "workers=1")
    code, said = shard("source=ycg09", *where, *settings)
    assert code == 0, said
    assert [manifest.load(tmp_path / split).written for split in ("train", "test")] == [170, 30]
    assert "5989 codes; characters that have several: 5, " in said
    assert all(f"codes {codes})" in said for codes in ("19, 5565", "48, 5745", "2111, 4105", "3390, 5464"))
    assert "codes 4409, 5539)" in said
