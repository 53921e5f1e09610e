"""local: every job once, lazily; a failure or a dead worker costs one retry and never a neighbour."""

import importlib
import os
import signal
import subprocess
import sys
import time

import pytest

from ingest.executors import local
from shards.errors import BadData, Stop

CHORES = """
import os, signal, time
from pathlib import Path
from shards.errors import BadData

def double(job):
    return 2 * job

def once_broken(job):  # job: a file; the first run of it fails
    if Path(job).exists():
        return job
    Path(job).touch()
    raise ValueError(f"not yet: {job}")

def broken(job):
    if job == 3:
        raise ValueError("never three")
    return job

def killed_once(job):
    if not Path(job).exists():
        Path(job).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return job

def killed(job):
    if job == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return job

def bad(job):
    raise BadData(f"list.txt:{job}: unreadable")

def slow(job):
    Path(job).touch()
    time.sleep(60)
"""


@pytest.fixture
def chores(tmp_path, monkeypatch):
    """A module that spawned processes can import."""
    (tmp_path / "chores.py").write_text(CHORES)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("chores", None)
    yield importlib.import_module("chores")
    sys.modules.pop("chores", None)


def gather(results, into):
    """Keeps what came before the iterator raised."""
    for result in results:
        into.append(result)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_every_job_gives_one_result(chores, workers):
    assert sorted(local(chores.double, iter(range(9)), workers)) == [2 * n for n in range(9)]
    assert list(local(chores.double, [], workers)) == []


def test_results_come_one_by_one_and_jobs_are_not_taken_ahead(chores):
    jobs = iter(range(5))
    results = local(chores.double, jobs, 1)
    assert next(results) == 0
    assert next(jobs) == 1
    results.close()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_that_fails_once_is_run_again(chores, tmp_path, workers):
    jobs = [str(tmp_path / f"{n}") for n in range(4)]
    assert sorted(local(chores.once_broken, jobs, workers)) == jobs


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_twice_is_named_after_all_others_are_done(chores, workers):
    got = []
    with pytest.raises(Stop, match="never three") as caught:
        gather(local(chores.broken, range(6), workers), got)
    assert sorted(got) == [0, 1, 2, 4, 5]
    assert caught.value.code == 1


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_only_its_job_is_run_again(chores, tmp_path):
    jobs = [str(tmp_path / f"{n}") for n in range(5)]
    assert sorted(local(chores.killed_once, jobs, 2)) == jobs
    got = []
    with pytest.raises(Stop, match="worker died"):
        gather(local(chores.killed, range(6), 2), got)
    assert sorted(got) == [0, 1, 2, 4, 5]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_bad_data_ends_the_run_at_once_as_itself(chores, workers):
    with pytest.raises(BadData, match="unreadable"):
        list(local(chores.bad, range(4), workers))


@pytest.mark.slow
def test_workers_die_with_a_killed_launcher(chores, tmp_path):
    script = tmp_path / "launch.py"
    script.write_text(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import chores\nfrom ingest.executors import local\n"
        "if __name__ == '__main__':\n    list(local(chores.slow, sys.argv[2:], 2))\n"
    )
    marks = [tmp_path / "one", tmp_path / "two"]
    launcher = subprocess.Popen([sys.executable, script, tmp_path, *marks])
    while not all(mark.exists() for mark in marks):
        time.sleep(0.05)
        assert launcher.poll() is None
    children = _children(launcher.pid)
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    deadline = time.monotonic() + 10
    while any(_alive(pid) for pid in children) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(children) >= 2
    assert not [pid for pid in children if _alive(pid)]


def _children(pid):
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as file:
                    if int(file.read().rsplit(")", 1)[1].split()[1]) == pid:
                        found.append(int(entry))
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
