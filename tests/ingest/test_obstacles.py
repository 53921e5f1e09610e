"""What stands in the way of ingest: it is named with what helps, nothing of it is touched, and once it is
gone the same command gives the same bytes.
"""

import ctypes
import json
import os
import subprocess
import sys

import pytest

ENTRY = [sys.executable, "-m", "ingest.shard"]
TOLD = ["source=folder", "rows_per_shard=5", "max_reject_frac=.2", "workers=1"]
SHARD = [f"000001.{suffix}" for suffix in ("tar", "columns.npy", "labels", "idx", "json")]
DROP, OVERRIDE, SEARCH = 24, 1, 2  # of prctl(2): PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@pytest.fixture
def whole(tmp_path, shard, words, snapshot):
    """The bytes of a run with nothing in its way."""
    assert shard(*TOLD, f"root={words}", f"out={tmp_path / 'whole'}")[0] == 0
    return snapshot(tmp_path / "whole")


def mere_user():
    """In a child that is to be started: permissions count for it even where it is root's."""
    system = ctypes.CDLL(None)
    for capability in (OVERRIDE, SEARCH):
        system.prctl(DROP, capability, 0, 0, 0)


def as_user(root, out, *more):
    """(exit code, what it said) of an ingest to whom permissions count."""
    done = subprocess.run(
        [*ENTRY, *TOLD, f"root={root}", f"out={out}", *more],
        capture_output=True, text=True, timeout=120, preexec_fn=mere_user,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def rejects(out):
    """origin -> (reason, detail) of a split's ledger."""
    lines = map(json.loads, (out / "train/rejects.jsonl").read_text().splitlines())
    return {line["origin"]: (line["reason"], line["detail"]) for line in lines}


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("name", [*SHARD, "manifest.json", "rejects.jsonl"])
def test_a_folder_where_a_file_should_be_is_named_and_left_alone(
    tmp_path, shard, words, snapshot, whole, name, finished
):
    out = tmp_path / ("whole" if finished else "out")
    (out / "train" / name).unlink(missing_ok=True)
    (out / "train" / name / "deep").mkdir(parents=True)
    (out / "train" / name / "deep/theirs").write_text("precious")
    code, said = shard(*TOLD, f"root={words}", f"out={out}")
    assert code == 2, said
    assert f"{out / 'train' / name}: cannot be written: Is a directory; what stands there is left" in said
    (out / "train" / name).rename(tmp_path / "away")
    assert (tmp_path / "away/deep/theirs").read_text() == "precious"
    assert shard(*TOLD, f"root={words}", f"out={out}")[0] == 0
    assert snapshot(out) == whole


@pytest.mark.parametrize(
    ("out", "why"),
    [
        ("file", "Not a directory"),
        ("file/below", "Not a directory"),
        ("holds", "File exists"),
        ("nowhere", "File exists"),
        ("loop", "Too many levels of symbolic links"),
    ],
)
def test_an_out_that_is_no_folder_is_named(tmp_path, shard, words, out, why):
    (tmp_path / "file").write_text("theirs")
    (tmp_path / "holds").mkdir()
    (tmp_path / "holds/train").write_text("theirs")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    code, said = shard(*TOLD, f"root={words}", f"out={tmp_path / out}")
    assert (code, f"error: {tmp_path / out}" in said, why in said) == (2, True, True), said
    assert "choose another out=" in said
    assert [(tmp_path / name).read_text() for name in ("file", "holds/train")] == ["theirs"] * 2


@pytest.mark.slow
@pytest.mark.parametrize(("place", "mode"), [("out", 0o500), ("out/train", 0o000)])
def test_an_out_that_may_not_be_written_is_named(tmp_path, words, snapshot, whole, place, mode):
    (tmp_path / place).mkdir(parents=True)
    (tmp_path / place).chmod(mode)
    code, said = as_user(words, tmp_path / "out")
    (tmp_path / place).chmod(0o700)
    assert (code, "Traceback" in said) == (2, False), said
    assert f"error: {tmp_path / 'out/train'}" in said
    assert "cannot be written: Permission denied; " in said
    assert as_user(words, tmp_path / "out")[0] == 0
    assert snapshot(tmp_path / "out") == whole


@pytest.mark.slow
def test_an_image_that_may_not_be_read_is_a_named_reject(tmp_path, words):
    (words / "deep").mkdir()
    (words / "3.jpg").rename(words / "deep/3.jpg")
    (words / "labels.tsv").write_text((words / "labels.tsv").read_text().replace("\n3.jpg", "\ndeep/3.jpg"))
    for name in ("deep", "5.jpg"):
        (words / name).chmod(0)
    code, said = as_user(words, tmp_path / "out")
    for name in ("deep", "5.jpg"):
        (words / name).chmod(0o700)
    assert code == 0, said
    denied = ("unreadable", "Permission denied")
    assert rejects(tmp_path / "out") | {"5.jpg": denied, "deep/3.jpg": denied} == rejects(tmp_path / "out")
    assert len(rejects(tmp_path / "out")) == 4


@pytest.mark.parametrize("kind", ["pipe", "folder", "loop", "device"])
def test_what_is_no_file_is_a_named_reject_and_not_waited_for(tmp_path, shard, words, kind):
    (words / "5.jpg").unlink()
    if kind == "pipe":
        os.mkfifo(words / "5.jpg")
    elif kind == "folder":
        (words / "5.jpg").mkdir()
    else:
        (words / "5.jpg").symlink_to("5.jpg" if kind == "loop" else "/dev/zero")
    code, said = shard(*TOLD, f"root={words}", f"out={tmp_path / 'out'}")
    assert code == 0, said
    assert (
        rejects(tmp_path / "out")["5.jpg"]
        == {
            "pipe": ("unreadable", "neither a file nor a folder"),
            "folder": ("missing_image", "line 6"),
            "loop": ("unreadable", "Too many levels of symbolic links"),
            "device": ("unreadable", "neither a file nor a folder"),
        }[kind]
    )


def test_a_list_that_is_a_pipe_is_not_waited_for(tmp_path, shard, words):
    os.mkfifo(words / "pipe.tsv")
    code, said = shard(*TOLD, f"root={words}", "labels=pipe.tsv", f"out={tmp_path / 'out'}")
    assert (code, f"{words / 'pipe.tsv'}: no readable label file (neither a file" in said) == (3, True), said


@pytest.mark.slow
@pytest.mark.parametrize(
    ("barred", "labels"),
    [("", "labels.tsv"), ("labels.tsv", "labels.tsv"), ("deep", "none"), ("7.txt", "beside")],
)
def test_raw_data_that_may_not_be_listed_is_named(tmp_path, words, barred, labels):
    """A folder below root that nobody may look into would else be lost without a word."""
    (words / "deep").mkdir()
    for row in range(23):
        (words / f"{row}.txt").write_text(f"word {row}\n")
    (words / "2.jpg").rename(words / "deep/2.jpg")
    (words / barred).chmod(0)
    code, said = as_user(words, tmp_path / "out", f"labels={labels}")
    (words / barred).chmod(0o700)
    assert (code, "Traceback" in said) == (3, False), said
    assert f"error: {words / barred}: " in said
    assert "Permission denied" in said
    assert not (tmp_path / "out").exists()
