"""The page about a data set: it counts right, needs no other file, and no text of the data is code."""

import json
import re
import shutil

import numpy as np
import pytest

from shards import census, charts, page, sheet, show
from shards.errors import BadData, BadSettings
from shards.read import Shards, located


def shown(*arguments):
    show.main([str(argument) for argument in arguments])
    out = next(a for a in map(str, arguments) if a.startswith("out=")).removeprefix("out=")
    with open(out, encoding="utf-8") as file:
        return file.read()


def test_the_page_needs_nothing_else_and_no_text_is_code(crops, scenes, tmp_path):
    for folder in (crops, scenes):
        text = shown(folder, f"out={tmp_path / 'deep' / 'page.html'}")
        assert not re.findall(r"https?://", text)
        assert re.findall(r'\b(?:src|href)="(?!data:image/(?:png|jpeg);base64,)|@import|url\(', text) == []
        assert "<script" not in text
        assert "&lt;script&gt;" in text
        assert not set(text) & {"\u202e", "\u200b", "\u2028", "\ufeff"}
        assert len(text.encode()) < page.LARGEST == 5_000_000


def test_every_split_is_counted(hand, crops, tmp_path, capsys):
    text = shown(crops, f"out={tmp_path / 'page.html'}", "json=true")
    splits = json.loads(capsys.readouterr().out.splitlines()[-1])["splits"]
    assert list(splits) == ["train", "test"]
    train = splits["train"]
    assert (train["rows"], train["written"], train["rejected"]) == (len(hand.hard) + 2, len(hand.hard), 2)
    assert train["words"] == train["distinct texts"] == len(hand.hard)
    assert train["without text"] == 0
    assert "missing_image" in text
    assert "row 5: crops/x.jpg" in text
    assert text.count('<figure class="crop"') == len(hand.hard) + 4
    assert "2 (50.0 %)" in text  # of the four texts of test stand in train, one of them in another case


def test_illegible_and_untranscribed_words_of_scenes_are_counted(scenes):
    one = census.count(scenes, "train", "train")
    assert (one.words, one.illegible, one.textless) == (9, 1, 1)
    assert sorted(one.lengths)[:3] == [4, 4, 4]


def test_polygons_are_drawn_in_the_pixels_of_the_source(scenes, tmp_path):
    text = shown(scenes, f"out={tmp_path / 'page.html'}", "n=24")
    assert text.count('<svg class="scene" viewBox="0 0 160 90"') == 6
    assert 'points="10.0,10.0 60.5,14.0 58.0,30.2 8.0,26.0"' in text
    assert text.count('<g class="ignored">') == 1
    assert text.count("<polygon") == 9
    assert shown(scenes, f"out={tmp_path / 'fewer'}", "n=8").count('<svg class="scene"') == 2


def test_characters_that_train_lacks_or_hardly_has_are_marked(hand, crops):
    found = [census.count(root, split, split) for root, split in located(crops)]
    letters, judged = census.letters(found, rare=3)
    marks = {letter.text: letter.mark for letter in letters}
    assert judged == "train"
    assert (marks["Ω"], marks["מ"], marks["a"]) == ("absent", "rare", "")
    assert (
        next(letter for letter in letters if letter.text == "Ω").name == "U+03A9 GREEK CAPITAL LETTER OMEGA"
    )
    times = next(letter.count for letter in letters if letter.text == "a")
    for rare, mark in ((times, ""), (times + 1, "rare")):
        assert {letter.text: letter.mark for letter in census.letters(found, rare)[0]}["a"] == mark
    counts = [letter.count for letter in letters]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == sum(map(len, hand.hard))


def test_what_a_charset_misses_is_listed_with_how_often_it_stands_where(hand, crops, tmp_path, capsys):
    alphabet = tmp_path / "alphabet.txt"
    alphabet.write_text("\n".join(sorted(set("".join(hand.hard)) - {"a"})) + "\n")
    page = shown(crops, f"out={tmp_path / 'p'}", f"charset={alphabet}", "base=1", "json=true")
    missed = json.loads(capsys.readouterr().out.splitlines()[-1])["missed"]
    found = [census.count(root, split, split) for root, split in located(crops)]
    assert missed["a"] == sum(one.characters["a"] for one in found)
    assert "Ω" in missed
    assert "GREEK CAPITAL LETTER OMEGA" in page
    assert "Not in the charset" not in shown(crops, f"out={tmp_path / 'q'}")
    with pytest.raises(BadSettings, match="base=0 the blank's place, base=1 the first class"):
        show.main([str(crops), f"charset={alphabet}"])


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("", ""),
        ("a b", "a b"),
        (" a b ", "\\x20a b\\x20"),
        ("  ", "\\x20\\x20"),
        ("\u202eabc", "\\u202eabc"),
        ("a\u200db", "a\\u200db"),
        ("\U000e0001", "\\U000e0001"),
        ("a\u3000b", "a\\u3000b"),
        ("\u0301", "\u25cc\u0301"),
        ("e\u0301", "e\u0301"),
        ("שלום", "שלום"),
    ],
)
def test_what_nobody_can_see_is_spelled_out(text, spelled):
    assert page.spelled(text) == spelled
    markup = page.visible(text)
    assert re.sub("<[^>]*>", "", markup) == spelled
    assert markup.startswith('<bdi dir="auto">')


def test_text_in_markup_is_escaped():
    assert "<i>" not in page.visible("<i>") + page.table(["<i>"], [["<i>"]])
    assert "<i>" not in charts.lines("<i>", {"<i>": ([0, 1], [1, 2])}, "<i>")
    assert "<i>" not in charts.histogram("<i>", {"<i>": np.arange(3)}, "<i>")


def test_the_sample_is_a_draw_by_seed_and_a_smaller_one_is_its_beginning(words):
    shards = Shards([words], "train")
    many, few = sheet.chosen(shards, 20, 7), sheet.chosen(shards, 5, 7)
    assert few.tolist() == many[:5].tolist()
    assert sorted(few) != list(range(5))
    assert sheet.chosen(shards, 20, 8).tolist() != many.tolist()
    assert len(set(sheet.chosen(shards, 1000, 7).tolist())) == len(shards)


def test_views_are_those_of_training_and_view_0_is_untouched(words, tmp_path):
    text = shown(words, f"out={tmp_path / 'page.html'}", "n=0", "views=4", "augment=strong")
    rows = re.findall(r'<div class="views">(.*?)</div>', text, re.S)
    assert len(rows) == show.VIEWED
    for row in rows:
        pictures = re.findall(r'src="([^"]+)"', row)
        assert len(pictures) == 4
    assert sum(len(set(re.findall(r'src="([^"]+)"', row))) > 1 for row in rows) == show.VIEWED
    plain = shown(words, f"out={tmp_path / 'plain.html'}", "n=0", "views=4", "augment=none")
    for row in re.findall(r'<div class="views">(.*?)</div>', plain, re.S):
        assert len(set(re.findall(r'src="([^"]+)"', row))) == 1


def test_a_page_that_would_be_too_large_shows_fewer_pictures():
    asked = []

    def draw(n):
        asked.append(n)
        return "x" * (n * 200_000)

    assert len(page.fitted(draw, 64)) <= page.LARGEST
    assert asked == [64, 32, 16]
    assert len(page.fitted(lambda n: "x" * 6_000_000, 3)) == 6_000_000  # it is not the pictures


def test_the_same_data_gives_the_same_page(crops, tmp_path):
    one, two = (shown(crops, f"out={tmp_path / name}", "views=2") for name in "ab")
    assert one == two


def test_a_damaged_sample_is_named_on_the_page_and_spares_the_others(crops, tmp_path):
    shutil.copytree(crops, tmp_path / "c")
    shards = Shards([tmp_path / "c"], "test")
    tar = tmp_path / "c" / "test" / "000000.tar"
    data = bytearray(tar.read_bytes())
    data[int(shards.column("image_offset")[1]) + 9] ^= 1
    tar.write_bytes(data)
    text = shown(tmp_path / "c" / "test", f"out={tmp_path / 'page.html'}", "views=2")
    assert text.count("<b>damaged</b>") == 1
    assert f"{int(shards.uids[1]):016x} is damaged" in text
    assert text.count('<figure class="crop"') == 4


def test_several_folders_are_told_apart_and_compared(crops, scenes, tmp_path):
    text = shown(crops, scenes, f"out={tmp_path / 'page.html'}")
    for name in ("crops/train", "crops/test", "scenes/train"):
        assert f"<h2>{name}: " in text, name


def test_a_split_without_samples_is_counted_too(hand, tmp_path):
    hand.written(tmp_path / "none", "train", [("empty", "a.jpg"), ("empty", "b.jpg")])
    text = shown(tmp_path / "none", f"out={tmp_path / 'page.html'}", "views=2")
    assert "row 1: b.jpg" in text
    assert "nothing to count" in text


def test_the_page_stands_in_the_folder_unless_told_otherwise(words, tmp_path):
    shutil.copytree(words, tmp_path / "w")
    show.main([str(tmp_path / "w"), "n=1"])
    assert (tmp_path / "w" / "show.html").exists()
    assert located(tmp_path / "w") == [(tmp_path / "w", split) for split in ("train", "val", "test")]


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ([], BadSettings, "python -m shards.show DIR"),
        (["{crops}", "n=-1"], BadSettings, "n: -1"),
        (["{crops}", "augment=loud"], BadSettings, "light, none, scene, shift, strong"),
        (["{crops}/absent"], BadData, "no manifest.json"),
        (
            ["{crops}", "out={crops}/train/manifest.json/page.html"],
            BadSettings,
            "out= puts the page elsewhere",
        ),
    ],
)
def test_bad_input_is_named(crops, arguments, error, says):
    with pytest.raises(error, match=says):
        show.main([text.format(crops=crops) for text in arguments])
