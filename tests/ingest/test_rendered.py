"""Rendered words: same seed same bytes, held-out texts held out, readable, in fonts that spell them."""

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from ingest import fonts, lexicon
from ingest.sources import Reject
from ingest.sources.rendered import Settings, Source
from shards.errors import BadData, BadSettings

SMALL = {"count": 40, "vocabulary": 300}


def rendered(split="train", **changes):
    return Source(Settings(**{**SMALL, **changes}), "", split)


def texts(source, rows):
    return [source.read(row).record.words[0].text for row in rows]


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others():
    one, two, other = rendered(), rendered(), rendered(seed=1)
    assert [one.read(row) for row in range(10)] == [two.read(row) for row in reversed(range(10))][::-1]
    assert one.options == two.options != other.options
    assert not {one.read(row).image for row in range(10)} & {other.read(row).image for row in range(10)}


def test_no_text_is_in_two_splits_under_any_seed_or_case():
    seen = {split: set() for split in lexicon.SPLITS}
    for seed in (0, 1):
        for split in lexicon.SPLITS:
            source = rendered(split, seed=seed, digits=0.2)
            seen[split] |= {word.casefold() for word in source.words}
            assert {text.casefold() for text in texts(source, range(20))} <= seen[split]
    assert not seen["train"] & seen["val"] | seen["train"] & seen["test"] | seen["val"] & seen["test"]


def test_splits_hold_about_eight_one_and_one_tenth():
    counts = Counter(lexicon.split_of(f"word{n}") for n in range(4000))
    assert 0.77 < counts["train"] / 4000 < 0.83
    assert 0.08 < counts["val"] / 4000 < 0.12


def test_every_text_comes_as_often_as_any_other():
    source = rendered(count=500)
    orders = [source.order(turn) for turn in range(2)]
    assert all(sorted(order) == list(range(len(source.words))) for order in orders)
    assert list(orders[0]) != list(orders[1])


def test_crops_are_readable_varied_jpegs_of_the_stated_size():
    source, sizes, modes = rendered(count=60), set(), set()
    for row in range(60):
        sample = source.read(row)
        with Image.open(io.BytesIO(sample.image)) as image:
            assert (image.format, image.size) == ("JPEG", sample.record.size)
            assert 32 <= image.height <= 48
            sizes.add(image.size)
            modes.add(image.mode)
            assert np.asarray(image.convert("L"), float).std() > 4
    assert len(sizes) > 50
    assert modes == {"L", "RGB"}


def test_matplotlibs_text_fonts_are_used_and_its_symbol_fonts_are_not():
    names = {face.name for face in fonts.faces("matplotlib")}
    assert {"DejaVuSans", "DejaVuSerif-Bold", "DejaVuSansMono", "STIXGeneral"} <= names
    assert len(names) >= 12
    assert not [
        n for n in names if n.startswith(("LastResort", "STIXSiz", "STIXNonUni", "cmsy", "cmex", "cmmi"))
    ]


def test_a_word_no_font_spells_is_rejected_and_its_neighbours_are_not(tmp_path):
    (tmp_path / "words.txt").write_text("\U00013000\U00013001\U00013002\nabc\nÄpfel\n", encoding="utf-8-sig")
    source, reasons, kept = rendered(words=str(tmp_path / "words.txt")), Counter(), []
    source.words = ["\U00013000\U00013001\U00013002", "Äpfel"]
    for row in range(4):
        try:
            kept += texts(source, [row])
        except Reject as reject:
            reasons[reject.reason] += 1
    assert reasons == {"no_font": 2}
    assert {text.casefold() for text in kept} == {"äpfel"}


def test_a_word_without_ink_is_rejected_as_blank():
    source = rendered()
    source.words = ["\u00a0\u00a0\u00a0"]
    with pytest.raises(Reject, match="blank"):
        source.read(0)


def test_photographs_are_used_whatever_their_folder_is_called(tmp_path, encoded):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{folder}.png").write_bytes(encoded(size=(200, 100)))
    one, two = (rendered(backgrounds=str(tmp_path / folder)) for folder in ("a", "b"))
    assert [one.read(row) for row in range(5)] == [two.read(row) for row in range(5)]
    assert one.options == two.options != rendered().options


def test_a_list_of_words_loses_only_what_cannot_be_used(tmp_path):
    path = tmp_path / "words.txt"
    path.write_bytes(b"\xef\xbb\xbfAbc\r\nabc\nab\nabcdefg\nd\te\n\nxyz\n")
    assert lexicon.from_file(path, 3, 6) == ["Abc", "xyz"]
    path.write_bytes(b"abc\n\xff\n")
    with pytest.raises(BadData, match=r"words\.txt:2: not UTF-8"):
        lexicon.from_file(path, 3, 6)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"count": 0}, "count"),
        ({"min_length": 5, "max_length": 4}, "min_length"),
        ({"max_length": 1, "min_length": 1}, "cannot be drawn"),
        ({"digits": 1.0}, "digits"),
        ({"strength": 3.0}, "strength"),
        ({"case": ["Title"]}, "as_is, lower, capitalised, upper"),
        ({"seed": -1}, "seed"),
    ],
)
def test_settings_that_cannot_be_are_named(changes, says):
    with pytest.raises(BadSettings, match=says):
        rendered(**changes)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"fonts": "/absent"}, "fonts="),
        ({"words": "/absent"}, "words="),
        ({"backgrounds": "/absent"}, "backgrounds="),
    ],
)
def test_missing_files_are_bad_data(changes, says):
    with pytest.raises(BadData, match=says):
        rendered(**changes)


def test_another_split_than_the_three_is_refused():
    with pytest.raises(BadSettings, match="train, val, test"):
        rendered("dev")
