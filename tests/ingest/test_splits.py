"""Splits of a folder: no image stands in two of them; names of files and of the root in the ledger."""

import json
import os
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from ingest import jobs, ledger
from ingest.images import published
from ingest.sources import icdar2015
from shards import manifest
from shards.manifest import Rejected, ShardInfo

RAW = Path(__file__).resolve().parent.parent / "raw"


@pytest.mark.parametrize("listed", [["labels=none"], []])
def test_one_listing_does_not_fill_two_splits(tmp_path, shard, words, listed):
    arguments = ("source=folder", f"root={words}", f"out={tmp_path / 'out'}", "max_reject_frac=.2", *listed)
    code, said = shard(*arguments, "split=train,test")
    assert (code, "labels={split}.tsv" in said) == (2, True), said
    assert not (tmp_path / "out").exists()
    assert shard(*arguments, "split=train")[0] == 0
    code, said = shard(*arguments, "split=test")
    assert (code, "holds this very listing already" in said) == (2, True), said
    assert not (tmp_path / "out/test").exists()
    assert shard(*arguments, "split=train")[0] == 0  # itself it may meet


def test_a_list_per_split_fills_several(tmp_path, shard, words):
    lines = (words / "labels.tsv").read_text().splitlines(keepends=True)
    (words / "train.tsv").write_text("".join(lines[:5]))
    (words / "test.tsv").write_text("".join(lines[14:]))
    arguments = ("source=folder", f"root={words}", f"out={tmp_path / 'out'}", "split=train,test")
    code, said = shard(*arguments, "labels={split}.tsv")
    assert code == 0, said
    assert [manifest.load(tmp_path / "out" / split).rows for split in ("train", "test")] == [5, 9]


def test_equal_names_of_other_images_are_another_split(tmp_path, shard, encoded):
    for split, size in (("train", (20, 10)), ("test", (30, 10))):
        (tmp_path / split).mkdir()
        (tmp_path / split / "1.png").write_bytes(encoded(size=size))
    for split in ("train", "test"):
        where = (f"root={tmp_path / split}", f"out={tmp_path / 'out'}")
        code, said = shard("source=folder", "labels=none", *where, f"split={split}")
        assert code == 0, said


def test_a_file_name_that_is_not_utf_8_is_a_reject_of_its_row(tmp_path, shard, encoded):
    (tmp_path / "raw").mkdir()
    for name in (b"a.png", b"b\xff.png"):
        Path(os.fsdecode(os.fsencode(tmp_path / "raw") + b"/" + name)).write_bytes(encoded())
    where = (f"root={tmp_path / 'raw'}", f"out={tmp_path / 'out'}")
    code, said = shard("source=folder", "labels=none", "max_reject_frac=.5", *where)
    assert code == 0, said
    ledger = json.loads((tmp_path / "out/train/rejects.jsonl").read_text())
    assert (ledger["row"], ledger["reason"], ledger["origin"]) == (1, "misnamed", "b\\xff.png")


def test_ledgers_lose_the_root_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for root in (".", str(tmp_path), f"{tmp_path}/"):
        assert jobs._portable(f"v1.2: {tmp_path}/a.b at 0x7f", root) == "v1.2: root/a.b"
    assert jobs._portable("a/x.png data/x.png", "a") == "root/x.png data/x.png"
    assert jobs._portable("no s3://b/raw/x.png", "s3://b/raw/") == "no root/x.png"


@pytest.mark.parametrize("where", ["source", "decoder"])
def test_want_of_memory_is_no_fault_of_the_row(monkeypatch, encoded, where):
    def starved(*_, **__):
        raise MemoryError

    source = SimpleNamespace(read=starved)
    if where == "decoder":
        monkeypatch.setattr(Image, "open", starved)
        source.read = lambda row: published(encoded(), "x.png")
    with pytest.raises(MemoryError):
        jobs.outcome(source, 0, "")


def test_the_live_line_tells_pace_rejects_and_time_left(tmp_path, monkeypatch):
    clock = iter([0.0, 100.0, 120.0])
    monkeypatch.setattr(ledger.time, "monotonic", lambda: next(clock))
    found = ledger.Ledger(tmp_path, 1000, 0.1)
    found.add(ShardInfo("000000", 0, 100, 100, {}, {}))  # of a run before
    found.start()
    rejects = [Rejected(row, "blank" if row < 102 else "torn", "") for row in range(100, 103)]
    found.add(ShardInfo("000001", 100, 200, 97, {}, {}, tuple(rejects)))
    assert found.told() == ("200 of 1000 rows, 2 shards, 5 samples/s, rejected: 2 blank, 1 torn, ETA 2:40")


def test_what_a_run_remembers_does_not_grow_with_its_rejects(tmp_path):
    found = ledger.Ledger(tmp_path, 1 << 20, 1.0)
    tracemalloc.start()
    for number in range(64):
        first = number << 10
        rejects = tuple(Rejected(row, "torn", f"{row}.jpg", "line") for row in range(first, first + 1024))
        found.add(ShardInfo(f"{number:06d}", first, first + 1024, 0, {}, {}, rejects))
    del rejects
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert (found.rejected, held < 64 * 1024) == ({"torn": 1 << 16}, True)


def test_the_published_number_of_rows_is_said_and_insisted_on_only_when_asked(tmp_path, shard):
    arguments = ("source=mjsynth", f"root={RAW / 'mjsynth/root'}", f"out={tmp_path / 'out'}", "dry_run=true")
    code, said = shard(*arguments, "split=test")
    assert (code, "test: 1 of the 891927 rows of the published set" in said) == (0, True), said
    code, said = shard(*arguments, "split=test", "complete=true")
    assert (code, "1 rows, the published set has 891927" in said) == (3, True), said
    assert not (tmp_path / "out").exists()


def test_a_whole_set_is_complete_and_a_set_of_no_known_size_never_is(tmp_path, shard, words, monkeypatch):
    monkeypatch.setitem(icdar2015.OFFICIAL["words"], "test", 2)
    out = f"out={tmp_path / 'out'}"
    code, said = shard(
        "source=icdar2015", f"root={RAW / 'icdar2015/root'}", out, "split=test", "complete=true"
    )
    assert code == 0, said
    code, said = shard("source=folder", f"root={words}", out, "complete=true")
    assert (code, "source=folder split=train should have is not known" in said) == (2, True), said
