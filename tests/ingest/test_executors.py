"""Executors: every job once, lazily; a failure or a dead worker costs one retry and never a neighbour."""

import importlib
import os
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import psutil
import pytest

from ingest import mapping
from shards import lookup
from shards.errors import BadData, BadSettings, Stop

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

def hungry(job):
    raise MemoryError

def here(job):
    return os.getcwd()

def bad(job):
    raise BadData(f"list.txt:{job}: unreadable")

def slow(job):
    Path(job).touch()
    time.sleep(60)
"""
LAUNCH = """
import sys
sys.path.insert(0, sys.argv[2])
import chores
from ingest.mapping import mapped
from shards.lookup import find

if __name__ == "__main__":
    member = find("ingest.executors", sys.argv[1])
    list(mapped(member.opened(member.Settings(), chores.slow, 2, 2), sys.argv[3:]))
"""
KINDS = [pytest.param(*kind, marks=pytest.mark.slow) for kind in (("local", 1), ("local", 2), ("ray", 2))]
APART = KINDS[1:]  # those whose workers are processes of their own


@pytest.fixture(scope="module")
def chores(modules):
    """A module that other processes can import, those of a Ray too."""
    (modules / "chores.py").write_text(CHORES)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(modules))
        yield importlib.import_module("chores")
    sys.modules.pop("chores", None)


@pytest.fixture
def run(request):
    """run(kind, function, jobs, workers): the results, lazily; Ray's tasks go to `cluster`."""

    def call(kind, function, jobs, workers):
        member = lookup.find("ingest.executors", kind)
        told = {"address": request.getfixturevalue("cluster")} if kind == "ray" else {}
        return mapping.mapped(member.opened(member.Settings(**told), function, workers, 9), jobs)

    return call


def gather(results, into):
    """Keeps what came before the iterator raised."""
    for result in results:
        into.append(result)


@pytest.mark.parametrize(("kind", "workers"), KINDS)
def test_every_job_gives_one_result(run, chores, kind, workers):
    assert sorted(run(kind, chores.double, iter(range(9)), workers)) == [2 * n for n in range(9)]
    assert list(run(kind, chores.double, [], workers)) == []


@pytest.mark.parametrize(("kind", "workers"), KINDS)
def test_no_more_jobs_are_taken_than_are_under_way(run, chores, kind, workers):
    jobs = iter(range(9))
    results = run(kind, chores.double, jobs, workers)
    assert next(results) in range(0, 2 * workers, 2)
    assert next(jobs) == workers
    results.close()


@pytest.mark.parametrize(("kind", "workers"), KINDS)
def test_a_job_that_fails_once_is_run_again(run, chores, tmp_path, kind, workers):
    jobs = [str(tmp_path / f"{n}") for n in range(4)]
    assert sorted(run(kind, chores.once_broken, jobs, workers)) == jobs


@pytest.mark.parametrize(("kind", "workers"), KINDS)
def test_what_fails_twice_is_named_after_all_others_are_done(run, chores, kind, workers):
    got = []
    with pytest.raises(Stop, match="never three") as caught:
        gather(run(kind, chores.broken, range(6), workers), got)
    assert sorted(got) == [0, 1, 2, 4, 5]
    assert caught.value.code == 1


@pytest.mark.parametrize(("kind", "workers"), APART)
def test_a_killed_worker_is_replaced_and_only_its_job_is_run_again(run, chores, tmp_path, kind, workers):
    jobs = [str(tmp_path / f"{n}") for n in range(5)]
    assert sorted(run(kind, chores.killed_once, jobs, workers)) == jobs
    got = []
    with pytest.raises(Stop, match=r"worker died .*fewer workers="):
        gather(run(kind, chores.killed, range(6), workers), got)
    assert sorted(got) == [0, 1, 2, 4, 5]


@pytest.mark.parametrize(("kind", "workers"), KINDS)
def test_bad_data_ends_the_run_at_once_as_itself(run, chores, kind, workers):
    with pytest.raises(BadData, match="unreadable"):
        list(run(kind, chores.bad, range(4), workers))


@pytest.mark.parametrize(("kind", "workers"), KINDS)
def test_a_worker_without_memory_says_what_helps(run, chores, kind, workers):
    with pytest.raises(Stop, match=r"(?s)MemoryError.*fewer workers= or rows_per_shard="):
        list(run(kind, chores.hungry, range(2), workers))


@pytest.mark.parametrize(("kind", "workers"), KINDS)
def test_workers_stand_where_the_command_was_typed(run, chores, tmp_path, monkeypatch, kind, workers):
    monkeypatch.chdir(tmp_path)
    assert set(run(kind, chores.here, range(3), workers)) == {str(tmp_path)}


def test_ray_that_is_not_installed_or_not_there_is_told_with_what_helps(monkeypatch):
    member = lookup.find("ingest.executors", "ray")
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(BadSettings, match=r"executor=ray: .*ocr-distillery\[ray\]"):
        member.opened(member.Settings(), print, 1, 1)


@pytest.mark.parametrize(("cores", "wanted"), [({}, 2), ({"CPU": 0.0}, 2), ({"CPU": 8.0}, 16)])
def test_jobs_wait_for_a_cluster_to_grow_for_them(cores, wanted):
    growing = SimpleNamespace(cluster_resources=lambda: cores, remote=lambda **_: lambda function: function)
    assert lookup.find("ingest.executors", "ray").Tasks(growing, print, 0).free == wanted


class Absent:
    """A double of Ray without a cluster."""

    class exceptions:
        RayError = OSError

    def init(self, address, **_):
        raise ConnectionError(f"nobody at {address}\nwith a trace")


def test_a_cluster_that_does_not_answer_is_named(monkeypatch):
    member = lookup.find("ingest.executors", "ray")
    monkeypatch.setitem(sys.modules, "ray", Absent())
    with pytest.raises(BadSettings, match=r"address=nowhere:1: no Ray .* \(nobody at nowhere:1\); .*_TOKEN"):
        member.opened(member.Settings("nowhere:1"), print, 1, 1)


@pytest.mark.parametrize("kind", [pytest.param(name, marks=pytest.mark.slow) for name in ("local", "ray")])
def test_workers_die_with_a_killed_launcher(chores, modules, tmp_path, kind):
    if kind == "ray":
        pytest.importorskip("ray", reason="the extra `ray` is not installed")
    script = tmp_path / "launch.py"
    script.write_text(LAUNCH)
    marks = [tmp_path / "one", tmp_path / "two"]
    told = {**os.environ, "PYTHONPATH": f"{modules}:{os.environ.get('PYTHONPATH', '')}"}
    launcher = subprocess.Popen([sys.executable, script, kind, modules, *marks], env=told)
    while not all(mark.exists() for mark in marks):
        time.sleep(0.05)
        assert launcher.poll() is None
    children = psutil.Process(launcher.pid).children(recursive=True)
    # Ray's agents write nothing of ours and take longer
    children = [child for child in children if "Agent" not in child.name()]
    launcher.send_signal(signal.SIGKILL)
    launcher.wait()
    assert len(children) >= 2
    assert not psutil.wait_procs(children, timeout=20)[1]
