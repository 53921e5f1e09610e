"""The index of photographs: found though one letter is wrong, remembered once, damaged files told."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from shards.errors import BadData
from train import photoindex
from train.reader import Reading

QUAD = ((0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0))


def word(image: str, text: str, score: float = 0.9) -> Reading:
    return Reading(image, text, score, polygon=QUAD)


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "deep" / "photos.db"
    with photoindex.opened(str(path)) as index:
        index.remember("a.jpg", [word("a.jpg", "Café"), word("a.jpg", "GRAND")])
        index.remember("b.jpg", [word("b.jpg", "cafes", 0.5), word("b.jpg", "closed")])
        index.remember("c.jpg", [word("c.jpg", "coffee")])
    return path


@pytest.mark.parametrize(
    ("wanted", "images"),
    [
        ("cafe", ["a.jpg", "b.jpg"]), ("CAFÉ", ["a.jpg", "b.jpg"]), ("cage", ["a.jpg"]), ("caf", ["a.jpg"]),
        ("grand cafe", ["a.jpg", "a.jpg"]), ("tea", []), ("kofee", []), ("coffe!", ["c.jpg"]),
    ],
)  # fmt: skip
def test_words_are_found_though_one_letter_is_wrong(base, wanted, images):
    assert [found.image for found in photoindex.search(base, wanted)] == images


def test_the_exact_word_comes_first_and_polygons_come_back(base):
    found = photoindex.search(base, "cafes")
    assert [one.text for one in found] == ["cafes", "Café"]
    assert found[0].polygon == QUAD


def test_an_image_read_again_replaces_what_it_had(base):
    with photoindex.opened(str(base)) as index:
        index.remember("a.jpg", [word("a.jpg", "menu")])
    assert [found.image for found in photoindex.search(base, "cafe")] == ["b.jpg"]
    assert [found.image for found in photoindex.search(base, "menu")] == ["a.jpg"]


def test_a_name_that_is_no_text_is_remembered_as_it_is(base):
    name = os.fsdecode(b"\xff.jpg")
    for text in ("bakery", "brewery"):
        with photoindex.opened(str(base)) as index:
            index.remember(name, [word(name, text)])
    assert photoindex.search(base, "bakery") == []
    assert [found.image for found in photoindex.search(base, "brewery")] == [name]


WORDS = st.text("abcé-1 ", max_size=5)


@given(st.lists(WORDS, max_size=6), WORDS)
def test_exactly_the_words_within_one_edit_are_found(tmp_path_factory, texts, wanted):
    path = tmp_path_factory.mktemp("index") / "photos.db"
    with photoindex.opened(str(path)) as index:
        for place, text in enumerate(texts):
            index.remember(str(place), [word(str(place), text)])
    parts = [photoindex.plain(part) for part in wanted.split()]
    parts = [part for part in parts if part]
    if not parts:
        with pytest.raises(BadData, match="no letter"):
            photoindex.search(path, wanted)
        return
    near = {
        str(place)
        for place, text in enumerate(texts)
        if all(
            any(Levenshtein.distance(part, own) <= 1 for own in map(photoindex.plain, text.split()) if own)
            for part in parts
        )
    }
    assert {found.image for found in photoindex.search(path, wanted)} == near


def test_a_file_that_is_no_index_is_told(tmp_path):
    with pytest.raises(BadData, match="no such file"):
        photoindex.search(tmp_path / "none.db", "cafe")
    (tmp_path / "note.db").write_text("not a data base, but long enough to look like one" * 50)
    with pytest.raises(BadData, match="give another file"), photoindex.opened(str(tmp_path / "note.db")):
        pass
