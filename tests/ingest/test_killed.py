"""Ingest that is killed, driver or worker, local and on Ray: the same command gives the same bytes.

A process is stopped first and looked at: it is killed where work is unfinished, and every second time only
while a half-written file is open.
"""

import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from shards.storage import PART

pytestmark = pytest.mark.slow
SET = ["source=rendered", "count=400", "vocabulary=100", "rows_per_shard=40", "strength=0"]
SHARDS = 10


@pytest.fixture
def command(request):
    """command(kind, out, *more, limit=): a started ingest; limit = (resource, bytes) of all its processes."""

    def start(kind, out, *more, limit=None):
        told = ["executor=ray", f"address={request.getfixturevalue('cluster')}"] if kind == "ray" else []
        return subprocess.Popen(
            [sys.executable, "-m", "ingest.shard", *SET, "workers=2", f"out={out}", *told, *more],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=(lambda: resource.setrlimit(limit[0], (limit[1],) * 2)) if limit else None,
        )  # fmt: skip

    return start


@pytest.fixture
def whole(command, tmp_path, snapshot):
    """The bytes of a run that nothing disturbed."""
    process = command("local", tmp_path / "whole")
    assert process.wait() == 0, process.stdout.read()
    process.stdout.close()
    return snapshot(tmp_path / "whole")


def open_parts(process, out):
    """Half-written files of a folder that a process holds open."""
    with suppress(psutil.Error):
        return [f.path for f in process.open_files() if f.path.startswith(str(out)) and PART in f.path]
    return []


def writers(out):
    """The processes that are writing a shard."""
    return [process for process in psutil.process_iter() if open_parts(process, out)]


def unfinished(out):
    return not (out / "train/manifest.json").exists() and len(list(out.glob("train/0*.json"))) < SHARDS


def strike(driver, out, target, inside, draw):
    """Kills the driver or a worker while there is work; returns whether it could before all was done."""
    time.sleep(draw.uniform(0, 0.3))
    while driver.poll() is None:
        found = writers(out)
        if not found:
            continue
        victim = psutil.Process(driver.pid) if target == "driver" else draw.choice(found)
        held = found[0] if target == "driver" else victim
        with suppress(psutil.NoSuchProcess):
            held.suspend()
            victim.suspend()
            if unfinished(out) and (open_parts(held, out) or not inside):
                victim.kill()
                held.resume()
                return True
            held.resume()
            victim.resume()
    return False


def kill_and_go_on(command, snapshot, whole, tmp_path, kind, kills, seed):
    """Runs that are killed again and again end like one that was not."""
    draw, killed, number = random.Random(seed), 0, 0
    while killed < kills:
        number += 1
        out = tmp_path / f"cut{number}"
        for _ in range(4):
            target = draw.choice(("driver", "worker"))
            process = command(kind, out)
            hit = killed < kills and strike(process, out, target, killed % 2 == 0, draw)
            said, _ = process.communicate()
            killed += hit
            assert process.returncode == (-signal.SIGKILL if hit and target == "driver" else 0), said
            if process.returncode == 0:
                break
        process = command(kind, out)
        said, _ = process.communicate()
        assert process.returncode == 0, said
        assert snapshot(out) == whole
        assert {p.name for p in (out / "train").iterdir()} == {name.partition("/")[2] for name in whole}
        shutil.rmtree(out)


@pytest.mark.parametrize("kind", ["local", "ray"])
def test_killed_at_any_moment_the_same_command_gives_the_same_bytes(command, snapshot, whole, tmp_path, kind):
    kill_and_go_on(command, snapshot, whole, tmp_path, kind, kills=5, seed=1)


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["local", "ray"])
def test_killed_fifty_times_the_same_command_gives_the_same_bytes(command, snapshot, whole, tmp_path, kind):
    kill_and_go_on(command, snapshot, whole, tmp_path, kind, kills=50, seed=2)


def test_other_options_are_refused_with_both_values_on_ray_too(command, snapshot, whole, tmp_path):
    process = command("ray", tmp_path / "whole", "strength=.5")
    said, _ = process.communicate()
    assert process.returncode == 2
    assert "option strength is 0.0 there and 0.5 here" in said
    assert snapshot(tmp_path / "whole") == whole


def test_a_full_disk_is_told_and_the_same_command_goes_on(command, snapshot, whole, tmp_path):
    sizes = sorted(path.stat().st_size for path in tmp_path.glob("whole/train/*.tar"))
    process = command("local", tmp_path / "cut", limit=(resource.RLIMIT_FSIZE, sizes[len(sizes) // 2]))
    said, _ = process.communicate()
    assert (process.returncode, "cannot be written: File too large; what is done stays" in said) == (3, True)
    assert not (tmp_path / "cut/train/manifest.json").exists()
    process = command("local", tmp_path / "cut")
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert snapshot(tmp_path / "cut") == whole


def test_a_worker_that_is_killed_twice_ends_the_run_with_what_helps(command, snapshot, whole, tmp_path):
    out = tmp_path / "cut"
    process = command("local", out)
    stem, deaths = "000009", 0
    while process.poll() is None and deaths < 2:
        for worker in writers(out):
            if any(f"/{stem}." in path for path in open_parts(worker, out)):
                worker.kill()
                worker.wait()
                deaths += 1
                break
    said, _ = process.communicate()
    assert (deaths, process.returncode) == (2, 1), said
    assert "1 jobs failed 2 times" in said
    assert "its worker died (exit code -9); where memory is short, fewer workers=" in said
    assert len(list(out.glob("train/0*.json"))) == SHARDS - 1
    process = command("local", out)
    said, _ = process.communicate()
    assert process.returncode == 0, said
    assert snapshot(out) == whole
