"""Alphabet files: what a code is, which lines are refused, what stands twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.alphabet import read, repeated
from shards.errors import BadSettings


@pytest.fixture
def alphabet(tmp_path):
    path = tmp_path / "alphabet.txt"

    def write(*lines, end="\n", encoding="utf-8"):
        path.write_bytes((end.join(lines) + end).encode(encoding))
        return path

    return write


@pytest.mark.parametrize(("end", "encoding"), [("\n", "utf-8"), ("\r\n", "utf-8-sig")])
def test_character_i_is_code_i_plus_one_in_either_base(alphabet, end, encoding):
    path = alphabet(" ", "，", " ", "的", end=end, encoding=encoding)
    assert read(path, "0", "base") == "， 的"
    assert read(path, "1", "base") == " ， 的"


def test_a_file_without_a_last_line_end_loses_no_character(tmp_path):
    (tmp_path / "a.txt").write_text("a\nb")
    assert read(tmp_path / "a.txt", "1", "base") == "ab"


@pytest.mark.parametrize("base", ["", "2", "one"])
def test_a_base_that_is_not_said_shows_the_first_line_and_what_each_choice_means(alphabet, base):
    with pytest.raises(
        BadSettings, match=r"first line, '的', is: base=0 the blank's place, base=1 the first"
    ):
        read(alphabet("的", "一"), base, "base")


@pytest.mark.parametrize(
    ("lines", "base", "says"),
    [
        (["a", "", "b"], "1", "line 2: '' is not one character"),
        (["", "a", "bc"], "0", "line 3: 'bc' is not one character"),
        (["e\u0301"], "1", "line 1"),
    ],
)
def test_a_line_that_is_not_one_character_is_named(alphabet, lines, base, says):
    with pytest.raises(BadSettings, match=says):
        read(alphabet(*lines), base, "base")


def test_another_encoding_or_no_file_is_refused(alphabet, tmp_path):
    with pytest.raises(BadSettings, match="not UTF-8"):
        read(alphabet("的", encoding="gb18030"), "1", "base")
    with pytest.raises(BadSettings, match=r"absent\.txt: No such file"):
        read(tmp_path / "absent.txt", "1", "base")


@given(st.text(alphabet="abc的"))
def test_what_stands_twice_is_found_with_all_its_codes(characters):
    found = repeated(characters)
    assert {c for c in characters if characters.count(c) > 1} == set(found)
    for character, codes in found.items():
        assert [characters[code - 1] for code in codes] == [character] * characters.count(character)
