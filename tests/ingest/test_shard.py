"""The stage: same bytes however it is run, resumed or killed; rows reconcile; bad input has its code."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from shards import manifest
from shards.verify import faults

COMMAND = [sys.executable, "-m", "ingest.shard"]
LOOSE = "max_reject_frac=.2"


def folder_run(shard, root, out, *more):
    return shard("source=folder", f"root={root}", f"out={out}", "rows_per_shard=5", LOOSE, "workers=1", *more)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["folder", "rendered"])
def test_any_number_of_workers_writes_the_same_bytes(tmp_path, shard, words, snapshot, source):
    taken = []
    for workers in (1, 2, 3):
        out = tmp_path / f"{workers}"
        more = ["count=23", "vocabulary=50"] if source == "rendered" else [f"root={words}"]
        code, said = shard(
            f"source={source}", f"out={out}", "rows_per_shard=4", LOOSE, *more, f"workers={workers}"
        )
        assert code == 0, said
        taken.append(snapshot(out))
    assert taken[0] == taken[1] == taken[2]
    assert len([name for name in taken[0] if name.endswith(".tar")]) == 6


def test_every_row_is_written_or_named_in_the_ledger(tmp_path, shard, words):
    code, said = folder_run(shard, words, tmp_path / "out", "name=mine", "json=true")
    assert code == 0, said
    made = manifest.load(tmp_path / "out/train")
    lines = (tmp_path / "out/train/rejects.jsonl").read_text().splitlines()
    ledger = [json.loads(line) for line in lines]
    assert [(line["row"], line["reason"], line["origin"]) for line in ledger] == [
        (7, "truncated", "7.jpg"),
        (11, "missing_image", "11.jpg"),
    ]
    assert (made.rows, made.written, made.rejected) == (23, 21, {"missing_image": 1, "truncated": 1})
    assert (made.name, made.source) == ("mine", "folder")
    last = json.loads(said.splitlines()[-1])
    assert last["splits"]["train"]["digest"] == made.digest
    assert f"python -m shards.verify {tmp_path / 'out'}" in said
    assert str(tmp_path) not in "".join(path.read_text() for path in (tmp_path / "out").rglob("*.json*"))


@pytest.mark.parametrize(
    "loss", ["sidecar", "tar", "short tar", "damage", "manifest", "leftovers", "nothing"]
)
def test_what_is_missing_or_half_written_is_done_again(tmp_path, shard, words, snapshot, loss):
    out = tmp_path / "out"
    assert folder_run(shard, words, out)[0] == 0
    whole, folder = snapshot(out), out / "train"
    if loss == "sidecar":
        (folder / "000002.json").unlink()
    elif loss == "tar":
        (folder / "000001.tar").unlink()
    elif loss == "short tar":
        (folder / "000001.tar").write_bytes((folder / "000001.tar").read_bytes()[:-512])
    elif loss == "damage":  # of equal size: only the hash knows
        data = bytearray((folder / "000001.tar").read_bytes())
        data[700] ^= 255
        (folder / "000001.tar").write_bytes(data)
        assert faults(folder)
    elif loss == "manifest":
        (folder / "manifest.json").unlink()
    elif loss == "leftovers":
        (folder / "manifest.json").unlink()
        (folder / "000003.json").unlink()
        for name in ("000003.tar.part", "000000.json.part", "manifest.json.part"):
            (folder / name).write_bytes(b"half")
    assert folder_run(shard, words, out)[0] == 0
    assert snapshot(out) == whole


def test_finished_shards_are_not_written_again(tmp_path, shard, words):
    out = tmp_path / "out"
    folder_run(shard, words, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    folder_run(shard, words, out)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("finished", [True, False])
def test_a_folder_of_another_data_set_is_refused_with_both_values(tmp_path, shard, words, snapshot, finished):
    out = tmp_path / "out"
    folder_run(shard, words, out)
    if not finished:
        (out / "train/manifest.json").unlink()
    before = snapshot(out)
    code, said = folder_run(shard, words, out, "name=other")
    assert code == 2
    if finished:
        assert "name is 'folder' there and 'other' here" in said
    lines = (words / "labels.tsv").read_text().replace("word 3", "Word 3")
    (words / "labels.tsv").write_text(lines)
    code, said = folder_run(shard, words, out)
    assert code == 2
    assert "another data set" in said
    assert snapshot(out) == before


def test_too_many_rejects_stop_the_run_and_are_tried_again_by_the_next(tmp_path, shard, words, encoded):
    out = tmp_path / "out"
    arguments = ("source=folder", f"root={words}", f"out={out}", "rows_per_shard=5", "workers=1")
    code, said = shard(*arguments)
    assert code == 3
    assert "1 truncated" in said
    assert not (out / "train/manifest.json").exists()
    assert json.loads((out / "train/rejects.jsonl").read_text().splitlines()[0])["origin"] == "7.jpg"
    for row in (7, 11):
        (words / f"{row}.jpg").write_bytes(encoded("JPEG"))
    code, said = shard(*arguments)
    assert code == 0, said
    assert manifest.load(out / "train").written == 23
    assert (out / "train/rejects.jsonl").read_bytes() == b""


def test_two_runs_do_not_write_one_folder(tmp_path, shard, words):
    import fcntl

    (tmp_path / "out/train").mkdir(parents=True)
    holder = os.open(tmp_path / "out/train", os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    code, said = folder_run(shard, words, tmp_path / "out")
    os.close(holder)
    assert code == 2
    assert "another run" in said
    assert folder_run(shard, words, tmp_path / "out")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["source=nowhere"], 2, "rendered"),
        (["source=folder", "lables=x"], 2, "labels"),
        (["source=folder", "workers=many"], 2, "workers"),
        (["source=folder", "format=txt", "root={root}"], 2, "tsv, csv, icdar"),
        (["source=folder", "split=../x", "root={root}"], 2, "names a folder"),
        (["source=icdar2015", "level=lines", "root={root}"], 2, "words"),
        (["source=folder"], 3, "root="),
        (["source=folder", "root={root}/absent"], 3, "no such folder"),
        (["source=folder", "root={empty}"], 3, "empty"),
        (["source=folder", "root={root}", "labels=none.txt"], 3, "none.txt"),
        (["source=folder", "root={root}", "format=icdar"], 3, "labels.tsv:1"),
        (["source=folder", "root={root}", "images=absent"], 3, "images=absent"),
    ],
)
def test_bad_input_ends_with_its_code_and_says_where(tmp_path, shard, words, arguments, code, says):
    (tmp_path / "empty").mkdir()
    filled = [text.format(root=words, empty=tmp_path / "empty") for text in arguments]
    got, said = shard(*filled, f"out={tmp_path / 'out'}")
    assert (got, says in said) == (code, True), said
    assert not (tmp_path / "out").exists()


def test_a_dry_run_writes_nothing(tmp_path, shard):
    code, said = shard(
        "source=rendered", "count=7", f"out={tmp_path / 'out'}", "split=train,test", "dry_run=true"
    )
    assert code == 0
    assert "7" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_killed_anywhere_ends_byte_identical(tmp_path, snapshot):
    arguments = ["source=rendered", "count=600", "vocabulary=200", "rows_per_shard=60", "workers=2"]
    subprocess.run([*COMMAND, *arguments, f"out={tmp_path / 'whole'}"], check=True, capture_output=True)
    for shards in (0, 2, 5):
        process = subprocess.Popen(
            [*COMMAND, *arguments, f"out={tmp_path / 'cut'}"], stdout=subprocess.DEVNULL
        )
        while process.poll() is None and len([*(tmp_path / "cut/train").glob("*.tar")]) <= shards:
            time.sleep(0.002)
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "cut/train/manifest.json").exists()
    subprocess.run([*COMMAND, *arguments, f"out={tmp_path / 'cut'}"], check=True, capture_output=True)
    assert snapshot(tmp_path / "cut") == snapshot(tmp_path / "whole")
