"""The charset: classes, folding, refusals."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import BadSettings
from train.charset import Charset


@pytest.mark.parametrize(
    ("name", "size", "first", "last"), [("36", 37, "0", "z"), ("62", 63, "0", "Z"), ("94", 95, "!", "~")]
)
def test_named_charsets_have_the_published_sizes_and_orders(name, size, first, last):
    charset = Charset.named(name)
    assert charset.size == size
    assert charset.encode(first) == [1]
    assert charset.encode(last) == [size - 1]


def test_the_36_characters_stand_in_the_order_of_the_published_weights():
    assert Charset.named("36").characters == "0123456789abcdefghijklmnopqrstuvwxyz"
    assert Charset.named("62").characters == Charset.named("36").characters + "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@pytest.mark.parametrize(
    ("fold", "text", "folded"),
    [
        ("none", "Ab", "Ab"),
        ("lower", "Ab", "ab"),
        ("upper", "Ab", "AB"),
        ("none", "e\u0301", "\u00e9"),  # NFC
        ("upper", "stra\u00dfe", "STRASSE"),
        ("lower", "", ""),
    ],
)
def test_labels_are_composed_and_folded(fold, text, folded):
    characters = {"upper": "AB", "lower": "ab", "none": "abAB"}[fold]
    assert Charset(characters, fold).normalise(text) == folded


@given(st.text(alphabet=Charset.named("94").characters))
def test_what_is_encoded_decodes_to_the_normalised_text(text):
    for name in ("36", "62", "94"):
        charset = Charset.named(name)
        if not charset.unspellable(text):
            assert charset.decode(charset.encode(text)) == charset.normalise(text)


@given(st.text())
def test_normalising_twice_changes_nothing(text):
    for fold in ("none", "lower", "upper"):
        charset = Charset("1", fold)
        assert charset.normalise(charset.normalise(text)) == charset.normalise(text)


def test_an_unspellable_label_names_its_characters():
    charset = Charset.named("36")
    assert charset.unspellable("Don't, don't") == "', "
    with pytest.raises(ValueError, match="no class for"):
        charset.encode("don't")


@pytest.mark.parametrize("indices", [[0], [37], [-1]])
def test_a_class_without_character_cannot_be_decoded(indices):
    with pytest.raises(ValueError, match="no character"):
        Charset.named("36").decode(indices)


@pytest.mark.parametrize(
    ("characters", "fold", "message"),
    [
        ("", "none", "no characters"),
        ("ab", "title", "there are: none, lower, upper"),
        ("aB", "lower", "no label can hold 'B' after .*; task.fold=none keeps"),
        ("e\u0301", "none", "no label can hold"),
    ],
)
def test_impossible_charsets_are_refused(characters, fold, message):
    if characters == "e\u0301":  # two code points that are legal apart: a charset of `e` and an accent
        assert Charset(characters, fold).unspellable("e\u0301") == "\u00e9"
        return
    with pytest.raises(BadSettings, match=message):
        Charset(characters, fold)


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(BadSettings, match="36, 62, 94"):
        Charset.named("95")


def test_a_character_that_stands_twice_keeps_its_classes_and_is_spelled_by_the_first():
    charset = Charset("aba")
    assert (charset.size, charset.repeated) == (4, "a")
    assert charset.encode("ab") == [1, 2]
    assert charset.decode([3, 2, 1]) == "aba"


def test_the_codes_of_a_published_digit_sequence_read_as_its_file_name_says(tmp_path):
    """The line of crnn.pytorch's documentation: codes count from 1, and 0 is the blank."""
    (tmp_path / "digits.txt").write_text("\n".join("0123456789"))
    charset = Charset.read(tmp_path / "digits.txt", "1")
    assert charset.decode([10, 10, 4, 6, 4, 4, 7, 2, 1, 6, 7, 8, 5, 3]) == "99353361056742"
    assert charset.size == 11


def test_an_alphabet_file_is_read_as_the_base_says_and_folded(tmp_path):
    (tmp_path / "a.txt").write_text(" \nA\na\nb\n")
    assert Charset.read(tmp_path / "a.txt", "0", "lower") == Charset("aab", "lower")
    with pytest.raises(BadSettings, match=r"first line, ' ', is: task\.base=0"):
        Charset.read(tmp_path / "a.txt", "")


def test_the_characters_of_labels_are_folded_composed_and_sorted():
    texts = ["Zoë", None, "a b", "zoe\u0308"]
    assert Charset.of(texts).characters == " Zabozë"
    assert Charset.of(texts, "lower").characters == " abozë"
    with pytest.raises(BadSettings, match="hold no characters"):
        Charset.of([None, ""])


def test_a_charset_survives_its_dict():
    charset = Charset("xyz", "lower")
    assert Charset(**charset.to_dict()) == charset
