"""Label files: what is written comes back, and what does not fit is named with file and line."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.labels import read
from shards.errors import BadData, BadSettings

TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=12)
TEXTS = st.lists(
    TEXT | st.sampled_from(['"', '""', " a ", "a,b", ', "', "\\", '\\"', "ß ", "\u2028", "="]), max_size=6
)
ENDS = st.sampled_from(["\n", "\r\n"])


def icdar(name, text):
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'{name}, "{quoted}"'


def round_trip(folder, format, lines, end, columns=()):
    path = folder / "list"
    path.write_bytes(b"\xef\xbb\xbf" + (end.join(lines) + end).encode())
    return [(label.path, label.text) for label in read(path, format, columns)]


@given(texts=TEXTS, end=ENDS)
def test_icdar_lists_come_back(tmp_path_factory, texts, end):
    pairs = [(f"word_{n}.png", text) for n, text in enumerate(texts)]
    lines = [icdar(*pair) for pair in pairs]
    assert round_trip(tmp_path_factory.getbasetemp(), "icdar", lines, end) == pairs


@given(texts=TEXTS, end=ENDS)
@settings(deadline=None)
def test_tsv_lists_come_back(tmp_path_factory, texts, end):
    pairs = [(f"a b/{n}.png", text) for n, text in enumerate(texts)]
    assert (
        round_trip(tmp_path_factory.getbasetemp(), "tsv", ["\t".join(pair) for pair in pairs], end) == pairs
    )


@given(texts=TEXTS, end=ENDS)
def test_lists_with_a_space_come_back(tmp_path_factory, texts, end):
    pairs = [(f"a/{n}.png", text) for n, text in enumerate(texts)]
    lines = [" ".join(pair) for pair in pairs]
    assert round_trip(tmp_path_factory.getbasetemp(), "space", lines, end) == pairs


@given(texts=TEXTS, end=ENDS)
def test_lists_of_objects_come_back(tmp_path_factory, texts, end):
    pairs = [(f"a/{n}.png", text) for n, text in enumerate(texts)]
    lines = [json.dumps({"n": 7, "word": text, "file": path}) for path, text in pairs]
    found = round_trip(tmp_path_factory.getbasetemp(), "jsonl", lines, end, ("file", "word"))
    assert found == pairs


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('{"file": "a.png", "word": "x"', "not JSON"),
        ('["a.png", "x"]', "expected an object with the texts file and word"),
        ('{"file": "a.png"}', "expected an object with the texts file and word"),
        ('{"file": "a.png", "word": 7}', "expected an object with the texts file and word"),
        ('{"file": "", "word": "x"}', "expected an object with the texts file and word"),
        ('{"file": "1.png", "word": "x"}', "stands on line 1 already"),
    ],
)
def test_an_object_that_does_not_fit_is_named(tmp_path, line, why):
    (tmp_path / "list").write_text(f'{{"file": "1.png", "word": "x"}}\n{line}\n')
    with pytest.raises(BadData, match="list:2: ") as caught:
        read(tmp_path / "list", "jsonl", ("file", "word"))
    assert why in str(caught.value)


def test_the_keys_of_objects_have_to_be_told(tmp_path):
    (tmp_path / "list").write_text("")
    with pytest.raises(BadSettings, match="format=jsonl needs columns=PATH,TEXT"):
        read(tmp_path / "list", "jsonl")
    with pytest.raises(BadSettings, match="only with format=csv or jsonl"):
        read(tmp_path / "list", "tsv", ("file", "word"))


@given(texts=TEXTS, end=ENDS, header=st.booleans())
def test_csv_lists_come_back(tmp_path_factory, texts, end, header):
    pairs = [(f"{n}.png", text) for n, text in enumerate(texts)]
    file = io.StringIO()
    writer = csv.writer(file, lineterminator=end)
    writer.writerows([("x", "text", "file"), *((0, text, path) for path, text in pairs)] if header else pairs)
    lines = file.getvalue().removesuffix(end)
    columns = ("file", "text") if header else ()
    assert round_trip(tmp_path_factory.getbasetemp(), "csv", [lines], end, columns) == pairs


@pytest.mark.parametrize(
    ("format", "data", "line", "why"),
    [
        ("tsv", b"a.png\tx\nb.png x\n", 2, "TAB"),
        ("tsv", b"a.png\tx\n\xff\tx\n", 2, "UTF-8"),
        ("tsv", b"\xef\xbb\xbfa.png\tx\n\na.png\ty\n", 3, "line 1"),
        ("tsv", b"\tx\n", 1, "path"),
        ("space", b"a.png x y\na.png\n", 2, "SPACE"),
        ("space", b" x\n", 1, "SPACE"),
        ("space", b'a.png, "x"\n', 1, "format=icdar"),
        ("icdar", b'a.png, "x"\nb.png, y\n', 2, "text"),
        ("icdar", b'a.png, "x\n', 1, "text"),
        ("icdar", b'a.png, "\n', 1, "text"),
        ("icdar", b'a.png, "C:\\new"\n', 1, "backslash"),
        ("icdar", b'a.png, "x\\"\n', 1, "backslash"),
        ("csv", b'a.png,x\n"b.png,y\n', 2, "end of data"),
        ("csv", b'a.png,"x\ny"\nb.png,y,z\n', 3, "3 fields"),
        ("csv", b"a.png\n", 1, "1 fields"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tmp_path, format, data, line, why):
    path = tmp_path / "list.txt"
    path.write_bytes(data)
    with pytest.raises(BadData, match=rf"list\.txt:{line}: ") as caught:
        read(path, format)
    assert why in str(caught.value)


def test_quotes_are_removed_once_and_only_from_the_ends(tmp_path):
    path = tmp_path / "gt.txt"
    path.write_bytes(b'a.png, ""x" y"\nb.png,""\n')
    assert [label.text for label in read(path, "icdar")] == ['"x" y', ""]


def test_settings_that_cannot_be_are_refused(tmp_path):
    (tmp_path / "x").write_bytes(b"a,b\n1,2\n")
    with pytest.raises(BadSettings, match="tsv, csv, icdar, space"):
        read(tmp_path / "x", "txt")
    with pytest.raises(BadSettings, match="two names"):
        read(tmp_path / "x", "tsv", ("a", "b"))
    with pytest.raises(BadData, match="no single column 'c'"):
        read(tmp_path / "x", "csv", ("a", "c"))
    with pytest.raises(BadData, match="no readable label file"):
        read(tmp_path / "y", "csv")
