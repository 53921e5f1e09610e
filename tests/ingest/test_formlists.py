"""Plain lists of handwriting: eight blanks divide a line, the text stays whole, misfits are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import formlists
from ingest.forms import Piece
from shards.errors import BadData

WORD = "a01-000u-00-00 ok 154 408 768 27 51 AT A"
LINE = "a01-000u-00 err 154 19 408 746 1661 89 A|MOVE|to"
REFUSED = [
    ("words", "a01-000u-00-00 ok 154 408 768 27 51 AT", "8 fields, expected 9"),
    ("words", WORD.replace(" ", "\t"), "1 fields, expected 9"),
    ("words", WORD.replace("ok", "OK"), "segmentation is 'OK', expected ok or err"),
    ("words", WORD.replace("768", "7.5"), "'7.5' where a number was expected"),
    ("words", WORD.replace(" 27", "  27"), "'' where a number was expected"),
    ("words", WORD.replace("-00-00", "-00"), "'a01-000u-00' is no id of words"),
    ("words", WORD.replace("a01-000u", "../a01-000u"), "is no id of words"),
    ("words", LINE, "'a01-000u-00' is no id of words"),
    ("lines", WORD, "'a01-000u-00-00' is no id of lines"),
    ("lines", LINE.replace(" 89 ", " NN "), "'NN' where a number was expected"),
]


@pytest.fixture
def listed(tmp_path):
    """listed(level, *lines) -> the forms of a list of these lines."""

    def read(level, *lines):
        (tmp_path / "list.txt").write_bytes("".join(f"{line}\n" for line in lines).encode())
        return formlists.read(tmp_path / "list.txt", level)

    return read


def test_words_and_lines_are_read(listed):
    (form,) = listed("words", "# a comment", "", WORD, WORD.replace("-00 ", "-01 ") + " la  carte").values()
    assert (form.id, form.writer, form.lines) == ("a01-000u", "", ())
    assert form.words == (Piece("a01-000u-00-00", "A", "ok"), Piece("a01-000u-00-01", "A la  carte", "ok"))
    (form,) = listed("lines", f"{LINE}\r").values()
    assert form.lines == (Piece("a01-000u-00", "A MOVE to", "err"),)


@given(text=st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=20))
def test_the_text_of_a_word_stays_whole(tmp_path_factory, text):
    file = tmp_path_factory.mktemp("list") / "words.txt"
    file.write_bytes(f"{WORD[:-1]}{text}\n".encode())
    (form,) = formlists.read(file, "words").values()
    assert form.words[0].text == text


@pytest.mark.parametrize(("level", "line", "said"), REFUSED)
def test_a_line_that_does_not_fit_is_named(listed, level, line, said):
    with pytest.raises(BadData, match=r"list\.txt:2: ") as error:
        listed(level, "# the first", line)
    assert said in str(error.value)


def test_an_id_given_twice_and_a_list_of_nothing_are_refused(listed):
    with pytest.raises(BadData, match=r"list\.txt:3: id 'a01-000u-00-00' stands in line 1 already"):
        listed("words", WORD, "", WORD)
    with pytest.raises(BadData, match=r"list\.txt: lists no lines"):
        listed("lines", "# nothing")
