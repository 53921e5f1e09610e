"""XML of others: lines, encodings, and nothing from outside the file."""

import pytest

from ingest import markup
from shards.errors import BadData


def write(tmp_path, data):
    (tmp_path / "x.xml").write_bytes(data)
    return tmp_path / "x.xml"


def test_elements_have_their_text_and_their_line(tmp_path):
    root, lines = markup.read(write(tmp_path, b"<a>\n <b c='1'> x &amp; y </b>\n\n <b/></a>"))
    assert [(one.tag, one.text, lines[one]) for one in root] == [("b", " x & y ", 2), ("b", None, 4)]


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1", "cp1252", "utf-16"])
def test_the_declared_encoding_counts(tmp_path, encoding):
    text = f"<?xml version='1.0' encoding='{encoding}'?><a>Café</a>"
    assert markup.read(write(tmp_path, text.encode(encoding)))[0].text == "Café"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<a>\n<b></a>", "x.xml:2: not XML"),
        (b"<a>\nCaf\xe9</a>", "x.xml:2: not XML"),
        (b"", "x.xml:1: not XML"),
        (b"<?xml version='1.0' encoding='none-such'?><a/>", "x.xml:1: not XML"),
        (b"<?xml version='1.0' encoding='shift_jis'?><a/>", "x.xml:1: not XML"),
        (b"<a>\n&who;</a>", "x.xml:2: entity '&who' is none of XML's own"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&#98;</a>", "defines entities or elements"),
    ],
)
def test_what_is_not_plain_is_named(tmp_path, data, why):
    with pytest.raises(BadData, match=why):
        markup.read(write(tmp_path, data))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadData, match=r"x\.xml: not readable"):
        markup.read(tmp_path / "x.xml")
