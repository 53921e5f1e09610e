"""Which words stand in which images: a file that remembers, and finds them though one letter is wrong.

SQLite's FTS5 holds each word with its keys: the word without accents, case and symbols, and what is left of
it when any one letter is taken away. Two words that differ by one letter replaced, left out or added share
such a key (Mor and Fraenkel 1982); which ones really do, is then looked at. Images are remembered anew, not
twice.
"""

import json
import os
import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from rapidfuzz.distance import Levenshtein

from shards.errors import BadData
from train.answersheet import make
from train.reader import Reading

LONGEST = 40  # letters of a word that are looked at
SCHEMA = """
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(
    keys, text UNINDEXED, image UNINDEXED, score UNINDEXED, polygon UNINDEXED, tokenize='ascii');
CREATE TABLE IF NOT EXISTS rows(image TEXT, word INTEGER);
CREATE INDEX IF NOT EXISTS of_image ON rows(image);
"""


class Index:
    """An open file."""

    def __init__(self, base: sqlite3.Connection) -> None:
        self._base = base
        base.executescript(SCHEMA)

    def remember(self, name: str, words: Sequence[Reading]) -> None:
        """Takes the words of an image in the place of those it had."""
        image = _stored(name)
        with self._base:
            old = self._base.execute("SELECT word FROM rows WHERE image = ?", (image,)).fetchall()
            self._base.executemany("DELETE FROM words WHERE rowid = ?", old)
            self._base.execute("DELETE FROM rows WHERE image = ?", (image,))
            for word in words:
                for part in filter(None, map(plain, word.text.split())):
                    made = self._base.execute(
                        "INSERT INTO words VALUES (?, ?, ?, ?, ?)",
                        (_coded(keys(part)), word.text, image, word.score, json.dumps(word.polygon)),
                    )
                    self._base.execute("INSERT INTO rows VALUES (?, ?)", (image, made.lastrowid))

    def near(self, wanted: str) -> Iterator[tuple[int, Reading]]:
        """(letters that differ: 0 or 1, word) of all words near to one."""
        query = " OR ".join(f'"{key}"' for key in _coded(keys(wanted)).split())
        found = self._base.execute(
            "SELECT text, image, score, polygon FROM words WHERE keys MATCH ? ORDER BY rowid", (query,)
        )
        for text, image, score, polygon in found:
            apart = min(Levenshtein.distance(wanted, plain(part)) for part in text.split())
            if apart <= 1:
                points = json.loads(polygon)
                where = None if points is None else tuple((x, y) for x, y in points)
                yield apart, Reading(os.fsdecode(image), text, score, polygon=where)


class Nothing:
    """Remembers nothing."""

    def remember(self, name: str, words: Sequence[Reading]) -> None:
        """See Index."""


@contextmanager
def opened(path: str) -> Iterator[Index | Nothing]:
    """The index of a file, made where there is none; without a path, one that remembers nothing. BadSettings
    where none can be made.
    """
    if not path:
        yield Nothing()
        return
    make(Path(path).parent, f"index={path}")
    with _connected(Path(path)) as base:
        yield Index(base)


def search(path: Path, words: str) -> list[Reading]:
    """The words near to any of those given, in images that have all of them; exact ones first, the surest
    before others.
    """
    if not path.is_file():
        raise BadData(f"index={path}: no such file; python -m train.predict DETECTOR PHOTOS index={path}")
    wanted = [part for part in map(plain, words.split()) if part]
    if not wanted:
        raise BadData(f"search={words!r}: no letter or digit to look for")
    with _connected(path) as base:
        index = Index(base)
        met = [list(index.near(part)) for part in wanted]
    everywhere = set.intersection(*({word.image for _, word in found} for found in met))
    rows = [(apart, word) for found in met for apart, word in found if word.image in everywhere]
    ordered = sorted(rows, key=lambda row: (row[0], -row[1].score, row[1].image))
    return list(dict.fromkeys(word for _, word in ordered))


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        with closing(sqlite3.connect(path)) as base:
            yield base
    except sqlite3.DatabaseError as error:
        raise BadData(f"index={path}: {error}; give another file") from None


def _stored(name: str) -> str | bytes:
    """A file's name as SQLite takes it: a text, or the bytes of one that is no utf-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name)
    return name


def plain(text: str) -> str:
    """A word without accents, case, and all that is neither letter nor digit."""
    parts = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in parts if c.isalnum())[:LONGEST]


def keys(word: str) -> list[str]:
    """A plain word, and what is left of it without one of its letters."""
    return list(dict.fromkeys([word, *(word[:i] + word[i + 1 :] for i in range(len(word)))]))


def _coded(words: Sequence[str]) -> str:
    """Keys as tokens that no tokenizer takes apart or joins: their code points."""
    return " ".join("x" + "y".join(f"{ord(c):x}" for c in word) for word in words)
