"""Texts that grow: their name says that they are whole."""

import pytest

from shards import written


def test_a_text_gets_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "words.csv"
    path.write_text("old")
    with written.growing(path) as file:
        file.write("né\udcff\n")
        assert path.read_text() == "old"
    assert path.read_bytes() == b"n\xc3\xa9\xff\n"
    assert list(tmp_path.iterdir()) == [path]


def test_of_a_text_that_was_given_up_nothing_stays(tmp_path):
    def give_up():
        with written.growing(tmp_path / "words.csv") as file:
            file.write("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give_up()
    assert list(tmp_path.iterdir()) == []


def test_what_killed_runs_left_is_removed_and_nothing_else(tmp_path):
    (tmp_path / "a[b].csv.x1234567.part").mkdir()
    (tmp_path / "a[b].csv.x1234567.part" / "a[b].csv").write_text("half")
    others = ["a[b].csv.mine.part", "a[b].csv.download.part", "b.csv.x1234567.part"]
    others = [tmp_path / name for name in others]
    others[0].mkdir()
    others[1].write_text("theirs")
    others[2].mkdir()
    with written.growing(tmp_path / "a[b].csv") as file:
        file.write("whole")
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / "a[b].csv", *others])


def test_where_nothing_can_be_written_is_said_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"), written.growing(tmp_path / "file" / "words.csv"):
        pytest.fail("there is nothing to write to")
