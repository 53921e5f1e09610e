"""IAM's XML: what is read from it, and what is refused before it can do harm."""

import pytest

from ingest.forms import Piece, read
from shards.errors import BadData

DOCTYPE = '<!DOCTYPE form SYSTEM "http://www.iam.unibe.ch/~fki/iamdb/form-metadata.dtd">'
LINE = '<line id="a01-000u-00" segmentation="ok" text="A"><word id="a01-000u-00-00" text="A"/></line>'


@pytest.fixture
def form(tmp_path):
    """write(lines): a form with these lines, other attributes and prologue as given -> its file."""

    def write(lines=LINE, attributes='id="a01-000u" writer-id="000"', prologue="", encoding="ISO-8859-1"):
        text = (
            f"<?xml version='1.0' encoding='{encoding}'?>{prologue}\n<form {attributes}><handwritten-part>\n"
        )
        file = tmp_path / "a01-000u.xml"
        file.write_bytes((text + lines + "\n</handwritten-part></form>").encode(encoding))
        return file

    return write


def line(text, words="", flag="ok", place=0):
    return f'<line id="a01-000u-0{place}" segmentation="{flag}" text="{text}">{words}</line>'


def test_a_form_has_its_writer_its_lines_and_their_words(form):
    word = '<word id="a01-000u-01-00" tag="AT" text="B"><cmp x="1" y="1" width="2" height="3"/></word>'
    found = read(form(LINE + line("B c", word, "err", 1), prologue=DOCTYPE))
    assert (found.id, found.writer) == ("a01-000u", "000")
    assert found.lines == (Piece("a01-000u-00", "A", "ok"), Piece("a01-000u-01", "B c", "err"))
    assert found.words == (Piece("a01-000u-00-00", "A", "ok"), Piece("a01-000u-01-00", "B", "err"))


@pytest.mark.parametrize("encoding", ["ISO-8859-1", "UTF-8"])
def test_the_declared_encoding_holds(form, encoding):
    assert read(form(line("café"), encoding=encoding)).lines[0].text == "café"


def test_entities_are_decoded_once_and_spaces_stay(form):
    assert read(form(line(" &quot;A&quot; &amp; &#66;&lt;"))).lines[0].text == ' "A" & B<'


def test_a_text_escaped_twice_is_refused_until_it_is_said(form):
    file = form(line("&amp;quot;A&amp;quot; &amp;amp; &amp;copy"))
    with pytest.raises(BadData, match=r"a01-000u-00: '&quot;A&quot;.*after decoding 1 times; entities=2"):
        read(file)
    assert read(file, entities=2).lines[0].text == '"A" & &copy'


@pytest.mark.parametrize(
    ("prologue", "text", "why"),
    [
        ('<!DOCTYPE form [<!ENTITY a "b">]>', "A", "document type form defines"),
        ('<!DOCTYPE form [<!ENTITY a SYSTEM "file:///etc/passwd">]>', "A", "document type form defines"),
        ('<!DOCTYPE form SYSTEM "x.dtd" [<!ENTITY % a SYSTEM "x">]>', "A", "document type form defines"),
        (DOCTYPE, "caf&eacute;", r":3: entity '&eacute' is none of XML's own"),
        ("", "&a;", r":3: entity '&a' is none"),
    ],
)
def test_nothing_comes_from_outside_the_file_and_nothing_is_dropped(form, prologue, text, why):
    with pytest.raises(BadData, match=why):
        read(form(line(text), prologue=prologue))


@pytest.mark.parametrize(
    ("lines", "attributes", "why"),
    [
        (LINE, 'id="a01-001" writer-id="000"', "expected a form with id='a01-000u'"),
        (LINE, 'id="a01-000u"', "a writer-id"),
        (LINE, 'id="a01-000u" writer-id=""', "a writer-id"),
        ("", 'id="a01-000u" writer-id="0"', "no line in a handwritten-part"),
        (LINE + LINE, 'id="a01-000u" writer-id="0"', "id 'a01-000u-00' stands there twice"),
        (
            LINE.replace('"ok"', '"er"'),
            'id="a01-000u" writer-id="0"',
            "segmentation is 'er', expected ok or err",
        ),
        (LINE.replace("segmentation", "seg"), 'id="a01-000u" writer-id="0"', "segmentation is None"),
        (LINE.replace("00-00", "00-../x"), 'id="a01-000u" writer-id="0"', "does not begin with a01-000u-"),
        (
            LINE.replace("a01-000u-00-00", "a01-001-00-00"),
            'id="a01-000u" writer-id="0"',
            "does not begin with",
        ),
        ("<line>", 'id="a01-000u" writer-id="0"', r":4: not XML \(mismatched tag"),
    ],
)
def test_what_does_not_fit_is_named(form, lines, attributes, why):
    with pytest.raises(BadData, match=rf"a01-000u\.xml.*{why}"):
        read(form(lines, attributes))


def test_a_missing_text_is_kept_for_the_row_to_reject(form):
    assert read(form('<line id="a01-000u-00" segmentation="ok"/>')).lines[0].text is None
