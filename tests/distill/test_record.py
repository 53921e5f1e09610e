"""Recording as processes: killed and started again, and shared by two."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TWO = [
    "--multi_gpu",
    "--main_process_port",
    "0",
    "--num_processes",
    "2",
    "--num_machines",
    "1",
    "--mixed_precision",
    "no",
    "--dynamo_backend",
    "no",
]

pytestmark = pytest.mark.slow


def environment(**more):
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}


def kill_when(arguments, out, pattern, count):
    """Kills a recording with SIGKILL once `count` files match; returns whether it was still running."""
    process = subprocess.Popen(
        [sys.executable, "distill/record.py", *arguments], cwd=ROOT, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while process.poll() is None and len(list(out.glob(pattern))) < count:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    running = process.poll() is None
    process.kill()
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL or not running, errors.decode()
    return running


@pytest.fixture(scope="module")
def whole(words, teacher, recipe, files, tmp_path_factory):
    """The files of a cache that one process wrote without interruption."""
    out = tmp_path_factory.mktemp("whole") / "c"
    arguments = recipe(teacher, words, out, "k=4", "batch=4", "kl_limit=1", "taps=[rnn1]")
    subprocess.run(
        [sys.executable, "distill/record.py", *arguments],
        cwd=ROOT,
        env=environment(),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return files(out)


def test_a_recording_killed_three_times_ends_byte_for_byte_like_an_uninterrupted_one(
    words, teacher, recipe, files, whole, tmp_path
):
    out = tmp_path / "c"
    arguments = recipe(teacher, words, out, "k=4", "batch=4", "kl_limit=1", "taps=[rnn1]")
    killed = [
        kill_when(arguments, out, "card.json*", 1),
        kill_when(arguments, out, "*/view0/values/c/0/0/0*", 1),
        kill_when(arguments, out, "done/*/view0/*", 2),
    ]
    assert all(killed)
    assert files(out) != whole
    subprocess.run(
        [sys.executable, "distill/record.py", *arguments],
        cwd=ROOT,
        env=environment(),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert files(out) == whole


def test_two_processes_write_the_same_bytes_as_one(words, teacher, recipe, files, whole, tmp_path):
    out = tmp_path / "c"
    arguments = recipe(teacher, words, out, "k=4", "batch=4", "kl_limit=1", "taps=[rnn1]", "processes=2")
    launch = [sys.executable, "-m", "accelerate.commands.launch", *TWO, "distill/record.py", *arguments]
    done = subprocess.run(
        launch, cwd=ROOT, env=environment(ACCELERATE_USE_CPU="true"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "processes 2" in done.stdout
    assert files(out) == whole


def test_a_recording_that_is_asked_to_stop_goes_on_later(words, teacher, recipe, files, whole, tmp_path):
    out = tmp_path / "c"
    arguments = recipe(teacher, words, out, "k=4", "batch=4", "kl_limit=1", "taps=[rnn1]")
    process = subprocess.Popen(
        [sys.executable, "distill/record.py", *arguments], cwd=ROOT, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not list(out.glob("done/*/view0/*")):
        time.sleep(0.001)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 85, errors
    assert "stopped by SIGTERM" in errors
    subprocess.run(
        [sys.executable, "distill/record.py", *arguments],
        cwd=ROOT,
        env=environment(),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    assert files(out) == whole


def test_a_refusal_ends_both_processes(words, teacher, recipe, tmp_path):
    (tmp_path / "other.txt").write_text("")
    arguments = recipe(teacher, words, tmp_path, "codec=dense", "processes=2")
    launch = [sys.executable, "-m", "accelerate.commands.launch", *TWO, "distill/record.py", *arguments]
    done = subprocess.run(
        launch,
        cwd=ROOT,
        env=environment(ACCELERATE_USE_CPU="true"),
        capture_output=True,
        text=True,
        timeout=90,
    )
    assert done.returncode == 1
    assert "holds something else (no card.json)" in done.stderr


def test_two_writers_of_one_folder_are_refused(words, teacher, recipe, tmp_path):
    import fcntl

    from distill import record
    from shards.errors import BadSettings

    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BadSettings, match=r"is being written by another process"):
            record.main(recipe(teacher, words, tmp_path, "codec=dense"))
