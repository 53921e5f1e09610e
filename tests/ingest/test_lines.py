"""Long lists: every line is found where it stands, and what does not fit is named with file and line."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest import lines
from ingest.lines import Lines
from shards.errors import BadData

PATTERN, EXPECTED = rb"[^\s/]+ \d+", "NAME NUMBER"
LINE = st.builds(
    "{} {}".format, st.text(st.characters(exclude_categories=("C", "Z"), exclude_characters="/"), min_size=1),
    st.integers(0, 10**9),
)  # fmt: skip


def of(data, pattern=PATTERN):
    return Lines(np.frombuffer(data, np.uint8), "list.txt", pattern, EXPECTED)


@given(
    rows=st.lists(LINE, unique=True, max_size=30),
    end=st.sampled_from(["\n", "\r\n"]),
    last=st.booleans(),
    bom=st.booleans(),
    window=st.integers(0, 300),
)
def test_lists_come_back_whatever_the_windows(rows, end, last, bom, window):
    text = end.join(rows) + (end if last and rows else "")
    data = b"\xef\xbb\xbf" * bom + text.encode()
    longest = max([len(row.encode()) for row in rows], default=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "WINDOW", longest + 3 + window)
        found = of(data)
    assert [found[row] for row in range(len(found))] == rows


@pytest.mark.parametrize("window", [12, 1 << 20])
@pytest.mark.parametrize(
    ("data", "line", "why"),
    [
        (b"a 1\nb 2\nc3\nd 4\n", 3, "expected NAME NUMBER: b'c3'"),
        (b"a 1\n\nc 3\n", 2, "expected NAME NUMBER: b''"),
        (b"a 1\nb 2 \n", 2, "expected"),
        (b"a 1\nb 2\n\n", 3, "expected"),
        (b"a 1\rb 2\n", 1, "expected"),
        (b"a 1\nb\xff 2\n", 2, "not UTF-8"),
        (b"a 1\nb 2\nc 3\na 2\nb 2\n", 5, "'b 2' stands on line 2 already"),
        (b"a 1\r\nb 2\na 1\n", 3, "'a 1' stands on line 1 already"),
        (b"a 1\n" + b"b" * 40, 2, "expected"),
    ],
)
def test_a_line_that_does_not_fit_is_named(monkeypatch, window, data, line, why):
    monkeypatch.setattr(lines, "WINDOW", window)
    with pytest.raises(BadData, match=rf"^list\.txt:{line}: ") as caught:
        of(data)
    assert why in str(caught.value)


def test_lines_that_only_hash_alike_are_no_twins(monkeypatch):
    monkeypatch.setattr(lines, "WEIGHTS", np.ones(1, np.uint64))  # every anagram collides
    assert len(of(b"ab 1\nba 1\n")) == 2


def test_a_row_is_held_in_eight_bytes():
    data = b"".join(b"word_%d %d\n" % (n, n) for n in range(5000))
    assert of(data).starts.nbytes == 8 * 5001
