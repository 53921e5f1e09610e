"""shards.verify: how it is called, what it finds, and how that is mended; duplicates between splits."""

import io
import json
import shutil
import sys

import numpy as np
import pytest
from PIL import Image

from shards import duplicates, progress, verify
from shards.duplicates import Side, compare, compared
from shards.errors import BadData
from shards.read import Shards
from shards.sample import Record, Sample, Word


def call(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["shards.verify", *map(str, arguments)])
    code = progress.run(verify.main)
    said = capsys.readouterr()
    return code, said.out + said.err


def smooth(seed, noise=0.0):
    """A soft picture, [32,100] in 0..255; noise: the share that another picture has in it."""
    fields = [np.random.default_rng(s).normal(size=(5, 9)).astype(np.float32) for s in (seed, seed + 1000)]
    soft = [np.array(Image.fromarray(f).resize((100, 32), Image.Resampling.BICUBIC)) for f in fields]
    return np.clip(128 + 40 * ((1 - noise) * soft[0] + noise * soft[1]), 0, 255).astype(np.uint8)


def sample(pixels, text, size=(100, 32)):
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(file, "PNG")
    words = (Word(text),) if isinstance(text, str | None) else text
    return Sample(file.getvalue(), "png", Record(words, size, f"{text}"))


@pytest.fixture
def twins(hand, tmp_path):
    """train, val and test that share bytes (0, 3, 6), pixels (1), like pictures (2, 7), labels alone (4)."""
    one = [smooth(seed) for seed in range(8)]
    hand.written(tmp_path / "d", "train", [
        sample(one[0], "zero"), sample(one[1], "One!"), sample(one[2], "two"), sample(one[3], "three"),
        sample(one[4], "four"), sample(one[5], None), sample(one[6], "six"),
    ])  # fmt: skip
    hand.written(tmp_path / "d", "val", [sample(one[6], "SIX"), sample(one[7], "seven")])
    png = sample(one[1], "one")
    hand.written(tmp_path / "d", "test", [
        sample(one[0], "another label"), Sample(png.image + b"\0", "png", png.record),
        sample(smooth(2, 0.15), "TWO"), sample(one[3], "four"), sample(smooth(4, 0.9), "four"),
        sample(smooth(5, 0.1), None), sample(one[7], "seven", size=(80, 30)),
    ])  # fmt: skip
    return tmp_path / "d"


def test_without_a_folder_it_says_how_it_is_called(monkeypatch, capsys):
    code, said = call(monkeypatch, capsys)
    assert (code, "python -m shards.verify DIR" in said) == (2, True)


def test_damage_is_named_with_what_mends_it(words, tmp_path, monkeypatch, capsys):
    shutil.copytree(words, tmp_path / "w")
    assert call(monkeypatch, capsys, tmp_path / "w")[0] == 0
    tar = tmp_path / "w" / "train" / "000000.tar"
    data = bytearray(tar.read_bytes())
    data[700] ^= 1
    tar.write_bytes(data)
    code, said = call(monkeypatch, capsys, tmp_path / "w", f"out={tmp_path / 'list'}")
    assert code == 3
    assert f"{tar}: sha256 differs from the manifest; run ingest.shard again" in said
    assert not (tmp_path / "list").exists()  # a damaged picture is compared with nothing


def test_each_kind_of_duplicate_is_found_and_nothing_else(twins, tmp_path, monkeypatch, capsys):
    code, said = call(monkeypatch, capsys, twins, f"out={tmp_path / 'found.jsonl'}", "json=true")
    assert code == 0, said
    found = duplicates.load(tmp_path / "found.jsonl")
    assert [(d.kind, d.drop.split, d.drop.row, d.keep.split, d.keep.row) for d in found] == [
        ("bytes", "train", 6, "val", 0),
        ("bytes", "train", 0, "test", 0),
        ("pixels", "train", 1, "test", 1),
        ("near", "train", 2, "test", 2),
        ("bytes", "train", 3, "test", 3),
        ("near", "val", 1, "test", 6),
    ]
    assert all(0.88 < d.correlation <= 1 for d in found)
    last = json.loads(said.splitlines()[-1])
    assert last["duplicates"] == 6
    assert last["pairs"] == 1 + (1 + 1 + 2) + 1  # six; one, two and twice four; seven
    first = Shards([twins], "train")
    assert (found[0].drop.uid, found[0].drop.text) == (f"{int(first.uids[6]):016x}", "six")
    assert found[0].drop.sha256 == first.sha256(6)


def test_near_means_a_correlation_above_the_bound(hand, tmp_path):
    levels = np.linspace(0.2, 0.5, 40)
    pictures = [smooth(0, level) for level in levels]
    wanted = [float(np.corrcoef(smooth(0).ravel(), picture.ravel())[0, 1]) for picture in pictures]
    assert sum(value > 0.88 for value in wanted) in range(5, 36)  # the bound lies among them
    hand.written(tmp_path, "train", [sample(picture, "a") for picture in pictures])
    hand.written(tmp_path, "test", [sample(smooth(77), "a"), sample(smooth(0), "a")])
    result = compare(*(Side(Shards([tmp_path], split)) for split in ("train", "test")))
    assert [d.drop.row for d in result.duplicates] == [r for r, value in enumerate(wanted) if value > 0.88]
    for duplicate in result.duplicates:
        assert duplicate.keep.row == 1
        assert duplicate.correlation == pytest.approx(wanted[duplicate.drop.row], abs=1e-4)


def test_strict_makes_duplicates_a_gate(twins, words, monkeypatch, capsys):
    code, said = call(monkeypatch, capsys, twins, "strict=true")
    assert (code, "6 samples stand in two places" in said) == (4, True), said
    assert call(monkeypatch, capsys, words, "strict=true", "near=false")[0] == 0


def test_without_near_only_bytes_are_compared(twins, monkeypatch, capsys):
    code, said = call(monkeypatch, capsys, twins, "near=false", "json=true")
    last = json.loads(said.splitlines()[-1])
    assert (code, last["duplicates"], last["pairs"]) == (0, 3, 0)


def test_against_loses_nothing_and_no_pair_is_compared_twice(twins, hand, tmp_path, monkeypatch, capsys):
    items = [sample(smooth(7), "seven"), sample(smooth(50), "x")]
    mine = hand.written(tmp_path / "mine", "test", items, "mine")
    out = tmp_path / "found.jsonl"
    assert call(monkeypatch, capsys, mine, f"against={twins}", f"out={out}")[0] == 0
    kept = [(d.drop.name, d.drop.row, d.keep.name, d.keep.split) for d in duplicates.load(out)]
    assert kept == [("mine", 0, "toy", "val"), ("mine", 0, "toy", "test")]
    call(monkeypatch, capsys, twins, f"against={twins}", f"out={out}")
    assert len(duplicates.load(out)) == 6
    assert {d.drop.split for d in duplicates.load(out)} == {"train", "val"}


def test_the_split_that_matters_most_keeps_its_samples(tmp_path, hand):
    for split in ("test", "extra", "train", "val"):
        hand.written(tmp_path / "d", split, [sample(smooth(0), "a")])
    chosen = [(one[1], other[1]) for one, other in verify.pairs([str(tmp_path / "d")], [])]
    assert chosen == [
        ("train", "extra"), ("train", "val"), ("train", "test"), ("extra", "val"), ("extra", "test"),
        ("val", "test"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Word", "wORD", True), ("it's", "ITS", True), ("a-b", "ab", True), ("straße", "STRASSE", True),
        ("£", "£", True), ("£", "$", False), ("", "", True), ("שלום", "שלום!", True), ("a", "b", False),
    ],
)  # fmt: skip
def test_labels_are_compared_by_their_letters_and_digits(one, other, same):
    assert (compared(one) == compared(other)) is same


def test_samples_without_a_label_are_compared_by_bytes_alone(tmp_path, hand):
    for split in ("train", "test"):
        hand.written(tmp_path, split, [sample(smooth(0), None), sample(smooth(1), "")])
    result = compare(*(Side(Shards([tmp_path], split)) for split in ("train", "test")))
    assert ([d.kind for d in result.duplicates], result.pairs) == (["bytes", "bytes"], 0)


def test_flat_pictures_are_alike_only_if_they_are_equal(tmp_path, hand):
    flat = [np.full((32, 100), level, np.uint8) for level in (0, 255, 90)]
    hand.written(tmp_path, "train", [sample(flat[0], "a"), sample(flat[2], "a")])
    hand.written(tmp_path, "test", [sample(flat[1], "a"), sample(flat[2], "a", size=(50, 16))])
    result = compare(*(Side(Shards([tmp_path], split)) for split in ("train", "test")))
    assert [(d.kind, d.drop.row, d.keep.row) for d in result.duplicates] == [("pixels", 1, 1)]
    assert result.pairs == 4


def test_blocks_change_nothing(twins, monkeypatch):
    sides = [Side(Shards([twins], split)) for split in ("train", "test")]
    whole = compare(*sides)
    monkeypatch.setattr(duplicates, "AT_ONCE", 1)
    assert compare(*sides) == whole
    monkeypatch.setattr(duplicates, "ROWS", 1)
    assert compare(*sides) == whole


def test_scenes_are_compared_by_all_their_words(tmp_path, hand):
    pair = tuple(Word(text, hand.box(0, 0, 9, 9)) for text in ("a", None, "b"))
    hand.written(tmp_path, "train", [sample(smooth(0), pair), sample(smooth(1), pair)])
    hand.written(tmp_path, "test", [sample(smooth(1, 0.1), pair)])
    result = compare(*(Side(Shards([tmp_path], split)) for split in ("train", "test")))
    assert [(d.kind, d.drop.row) for d in result.duplicates] == [("near", 1)]


@pytest.mark.parametrize(
    ("line", "says"),
    [("{", ":2"), ("[]", ":2"), ('{"drop": {}, "keep": {}}', ":2"), ("absent", "shards.verify out=")],
)
def test_a_list_that_verify_did_not_write_is_named(twins, tmp_path, line, says):
    path = tmp_path / duplicates.FILE
    if line != "absent":
        side = [Side(Shards([twins], split)) for split in ("train", "test")]
        duplicates.save(path, compare(*side).duplicates[:1])
        path.write_text(path.read_text() + line + "\n")
    with pytest.raises(BadData, match=says):
        duplicates.load(path)
