"""distill/record.py as a command: killed at any moment and started again, shared by two, stopped."""

import fcntl
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distill import record
from shards.errors import BadSettings

ROOT = Path(__file__).resolve().parent.parent.parent
LAUNCH = [
    "-m", "accelerate.commands.launch", "--multi_gpu", "--main_process_port", "0", "--num_processes", "2",
    "--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no",
]  # fmt: skip
JOBS = 7  # of the fixture `rich`: three shards in two views, one of val
DYING = """
import os, signal, sys, threading
import psutil
from distill import record, writer
from shards.progress import run

how, _, amount = os.environ["DIE"].partition(" ")
left = [int(amount)]

def die():
    if "LOCAL_RANK" in os.environ:  # all at once, as when the machine goes down
        for other in psutil.Process(os.getppid()).children():
            if other.pid != os.getpid():
                other.kill()
    os.kill(os.getpid(), signal.SIGKILL)

def in_a_write(real):
    def call(*given):
        left[0] -= 1
        return die() if left[0] < 0 else real(*given)
    return call

def after_answers(real):
    def call(*given):
        left[0] -= 1
        if left[0] == 0:
            threading.Timer(int.from_bytes(os.urandom(1), "big") / 10_000, die).start()
        return real(*given)
    return call

if how == "writes":
    os.fsync, os.replace = in_a_write(os.fsync), in_a_write(os.replace)
elif how == "answers":
    writer.Writer._fill = after_answers(writer.Writer._fill)
sys.exit(run(record.main))
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def command(words, teacher, recipe, full, tmp_path):
    """command(out, *more, processes=, die=) -> (code, output) of a recording like the fixture `rich`."""

    def run(out, *more, processes=1, die=""):
        script = ROOT / "distill" / "record.py"
        if die:
            script = tmp_path / "dying.py"
            script.write_text(DYING)
        launch = [sys.executable, *(LAUNCH if processes == 2 else [])]
        told = {"ACCELERATE_USE_CPU": "true"} if processes == 2 else {}
        done = subprocess.run(
            [*launch, str(script), *recipe(teacher, words, out, *full), *more], cwd=tmp_path, text=True,
            env=environment(DIE=die, **told), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240,
        )  # fmt: skip
        return done.returncode, done.stdout

    return run


def environment(**more):
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}


def marks(out):
    return len(list(out.glob("done/*/*/*.json")))


def kill_and_go_on(command, rich, files, tmp_path, kills, processes):
    """Recordings that are killed, every second time inside a write, end like one that was not."""
    draw, whole, killed, number = random.Random(processes), files(rich), 0, 0
    while killed < kills:
        number += 1
        out = tmp_path / f"cut{number}"
        while killed < kills:
            inside = killed % 2 == 0
            how = f"writes {draw.randrange(4, 40) if marks(out) else draw.randrange(110)}"
            code, output = command(
                out, processes=processes, die=how if inside else f"answers {draw.randrange(1, 8)}"
            )
            if code == 0:
                break
            assert code == -signal.SIGKILL or "SIGKILL" in output, output  # the launcher turns it into 1
            assert marks(out) < JOBS  # the work was not done
            assert files(out) != whole
            assert not inside or list(out.rglob("*.part")), how
            killed += 1
        assert command(out, processes=processes)[0] == 0
        assert files(out) == whole
        shutil.rmtree(out)


def test_two_processes_killed_five_times_end_byte_for_byte_like_one_that_was_not(
    command, rich, files, tmp_path
):
    kill_and_go_on(command, rich, files, tmp_path, kills=5, processes=2)


@pytest.mark.campaign
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_thirty_times_the_same_command_gives_the_same_bytes(command, rich, files, tmp_path, processes):
    kill_and_go_on(command, rich, files, tmp_path, kills=30, processes=processes)


def test_one_and_two_processes_write_the_same_bytes(command, rich, files, tmp_path):
    code, output = command(tmp_path / "two", "processes=2", processes=2)
    assert code == 0, output
    assert "processes 2" in output
    assert files(tmp_path / "two") == files(rich)


def test_a_recording_that_is_asked_to_stop_goes_on_later(words, teacher, recipe, full, rich, files, tmp_path):
    out = tmp_path / "c"
    process = subprocess.Popen(
        [sys.executable, "distill/record.py", *recipe(teacher, words, out, *full)], cwd=ROOT,
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    while process.poll() is None and not marks(out):
        time.sleep(0.001)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate()
    assert process.returncode == 85, errors
    assert "stopped by SIGTERM" in errors
    assert marks(out) < JOBS
    record.main(recipe(teacher, words, out, *full))
    assert files(out) == files(rich)


def test_a_refusal_ends_both_processes(command, tmp_path):
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "other.txt").write_text("")
    code, output = command(tmp_path / "c", "processes=2", processes=2)
    assert code == 1
    assert "holds something else (no card.json)" in output


def test_two_writers_of_one_folder_are_refused(words, teacher, recipe, tmp_path):
    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(BadSettings, match=r"is being written by another process"):
            record.main(recipe(teacher, words, tmp_path, "codec=dense"))
