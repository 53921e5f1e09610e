"""Ingest that lacks disk or memory: it says so and fails, and once it has them the same command gives the
bytes of a run that lacked nothing.
"""

import errno
import json
import resource
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ingest import jobs, listing
from ingest.sources import Reject
from tests.ingest.parts import open_parts, writers

SHARDS = 10
# ingest.shard with so many bytes of memory beside what its imports take
PINCHED = """
import resource, sys
import psutil, webdataset.writer
from ingest import shard
from shards import pictures, progress
size = psutil.Process().memory_info().vms + int(sys.argv.pop(1))
resource.setrlimit(resource.RLIMIT_AS, (size, size))
sys.exit(progress.run(shard.main))
"""
KINDS = pytest.mark.parametrize("kind", ["local", "ray"])


@pytest.fixture
def disk(tmp_path):
    """disk(bytes): a file system of its own of that size, or resized; skipped where none may be mounted."""
    place = tmp_path / "disk"
    place.mkdir()

    def mount(size):
        options = f"size={size}" + (",remount" if place.is_mount() else "")
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place], capture_output=True)
        if done.returncode:
            pytest.skip(f"no tmpfs may be mounted here: {done.stderr.decode().strip()}")
        return place

    yield mount
    if place.is_mount():
        subprocess.run(["umount", "-l", place], check=True)


def completed(process):
    """(exit code, what it said)."""
    said, _ = process.communicate()
    return process.returncode, said


@pytest.mark.slow
@KINDS
def test_a_full_disk_is_told_and_the_same_command_goes_on(command, snapshot, whole, tmp_path, disk, kind):
    size = sum(path.stat().st_size for path in (tmp_path / "whole").rglob("*") if path.is_file())
    out = disk(size // 2) / "out"
    code, said = completed(command(kind, out))
    assert (code, "Traceback" in said) == (3, False), said
    assert f"{out / 'train'}: cannot be written: No space left on device; what is done stays" in said
    assert not (out / "train/manifest.json").exists()
    done = {path.name: path.stat().st_mtime_ns for path in out.glob("train/0*.tar")}
    assert 0 < len(done) < SHARDS
    disk(4 * size)
    code, said = completed(command(kind, out))
    assert code == 0, said
    assert snapshot(out) == whole
    finished = {
        path.stem for path in out.glob("train/0*.tar") if done.get(path.name) == path.stat().st_mtime_ns
    }
    assert finished  # they were not written again


@pytest.mark.slow
def test_a_file_that_may_not_grow_is_told_too(command, snapshot, whole, tmp_path):
    sizes = sorted(path.stat().st_size for path in tmp_path.glob("whole/train/*.tar"))
    limit = (resource.RLIMIT_FSIZE, sizes[len(sizes) // 2])
    code, said = completed(command("local", tmp_path / "cut", limit=limit))
    assert (code, "cannot be written: File too large; what is done stays" in said) == (3, True), said
    assert not (tmp_path / "cut/train/manifest.json").exists()
    code, said = completed(command("local", tmp_path / "cut"))
    assert code == 0, said
    assert snapshot(tmp_path / "cut") == whole


@pytest.mark.slow
@KINDS
def test_a_worker_that_is_killed_twice_ends_the_run_with_what_helps(command, snapshot, whole, tmp_path, kind):
    """As the kernel kills one when memory is short."""
    out = tmp_path / "cut"
    process = command(kind, out)
    dead = set()
    while process.poll() is None and len(dead) < 2:
        for worker in writers(out):
            if any("/000009." in path for path in open_parts(worker, out)):
                worker.kill()
                dead.add(worker.pid)
    code, said = completed(process)
    assert (len(dead), code) == (2, 1), said
    assert "1 jobs failed 2 times" in said
    assert "; where memory is short, fewer workers=" in said
    assert ("its worker died (exit code -9)" in said) == (kind == "local")
    assert len(list(out.glob("train/0*.json"))) == SHARDS - 1
    code, said = completed(command(kind, out))
    assert code == 0, said
    assert snapshot(out) == whole


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "options"),
    [
        ("png", {}),
        ("jpg", {"quality": 50, "progressive": True}),
    ],
)
def test_want_of_memory_rejects_no_image(tmp_path, snapshot, suffix, options):
    root = tmp_path / "raw"
    root.mkdir()
    slope = np.broadcast_to(np.arange(3500, dtype=np.uint8)[:, None, None], (3500, 3500, 3))
    for name, size in (("a", 30), (f"b.{suffix}", 3500), ("c", 40)):
        Image.fromarray(np.ascontiguousarray(slope[:size, :size])).save(
            root / (name if "." in name else f"{name}.png"), **(options if "." in name else {})
        )
    told = ["source=folder", "labels=none", f"root={root}", "workers=1", "rows_per_shard=1"]

    def run(out, memory):
        done = subprocess.run(
            [sys.executable, "-c", PINCHED, str(memory), *told, f"out={tmp_path / out}"],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    code, said = run("cut", 20_000_000)
    assert code == 1, said
    assert "1 jobs failed 2 times" in said
    assert "its worker died (memory ran out); where memory is short, fewer workers=" in said
    marks = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("cut/train/0*.json"))]
    assert [(mark["stem"], mark["rejects"]) for mark in marks] == [("000000", []), ("000002", [])]
    for out in ("cut", "whole"):
        code, said = run(out, 2_000_000_000)
        assert code == 0, said
    assert snapshot(tmp_path / "cut") == snapshot(tmp_path / "whole")
    assert not (tmp_path / "cut/train/rejects.jsonl").read_bytes()


@pytest.mark.parametrize("lack", [errno.EMFILE, errno.ENFILE, errno.ENOMEM])
def test_what_the_machine_lacks_is_no_fault_of_a_row(lack):
    class Tree:
        def read(self, path):
            raise OSError(lack, "the machine's")

    class Source:
        def read(self, row):
            return listing.image_at(Tree(), "a.jpg", "a.jpg", "")

    with pytest.raises(OSError, match="the machine's"):
        jobs.outcome(Source(), 0, "")
    lack = errno.EIO
    with pytest.raises(Reject, match="unreadable"):
        Source().read(0)
