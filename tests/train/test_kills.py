"""Killed at any moment, training ends in the same bytes: with averages, accumulation and bf16 to keep."""

import random
import signal

import pytest

from tests.train.runs import LONG, folders, status, values

pytestmark = pytest.mark.slow
SETTINGS = [*LONG, "fit.save_every=10", "fit.ema=0.9", "fit.accumulation=2", "fit.precision=bf16"]
DYING = """
import os, signal, sys, threading
from shards.progress import run
from train import teacher

how, _, amount = os.environ["DIE"].partition(" ")
left = [float(amount)]

def die():
    os.kill(os.getpid(), signal.SIGKILL)

def counting(real):
    def call(*given):
        left[0] -= 1
        return die() if left[0] < 0 else real(*given)
    return call

if how == "seconds":
    timer = threading.Timer(left[0], die)
    timer.daemon = True
    timer.start()
elif how == "writes":
    os.fsync, os.replace, os.mkdir = counting(os.fsync), counting(os.replace), counting(os.mkdir)
sys.exit(run(teacher.main))
"""


def kill_and_go_on(command, kills: int, seed: int, processes: int = 1) -> None:
    """Runs that are killed, a third of them in the middle of a write, end like one that was not."""
    draw = random.Random(seed)
    code, output = command.run("whole", *SETTINGS, processes=processes)
    assert code == 0, output
    wanted, killed, number = folders(command.runs / "whole"), 0, 0
    while killed < kills:
        number += 1
        run = command.runs / f"cut{number}"
        for _ in range(100):
            how = f"writes {draw.randrange(60)}" if killed % 3 == 0 else f"seconds {draw.uniform(0, 2)}"
            how = how if killed < kills else "never 0"
            code, output = command.run(run.name, *SETTINGS, script=DYING, DIE=how, processes=processes)
            if code == 0:
                break
            assert code == -signal.SIGKILL or "SIGKILL" in output, (
                how,
                output,
            )  # the launcher turns it into 1
            killed += 1
        assert folders(run) == wanted
        assert values(run, "train/loss") == values(command.runs / "whole", "train/loss")
        assert status(run)["state"] == "done"
        assert not [p for p in run.iterdir() if p.name.startswith(("best.", "last."))]


@pytest.mark.parametrize("processes", [1, 2])
def test_killed_at_any_moment_the_same_command_gives_the_same_bytes(command, processes):
    kill_and_go_on(command, kills=5, seed=1, processes=processes)


@pytest.mark.campaign
@pytest.mark.parametrize("processes", [1, 2])
def test_killed_thirty_times_the_same_command_gives_the_same_bytes(command, processes):
    kill_and_go_on(command, kills=30, seed=2, processes=processes)
