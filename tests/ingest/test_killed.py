"""Ingest that is killed, driver or worker, local and on Ray: the same command gives the same bytes.

A process is stopped first and looked at: it is killed where work is unfinished, and every second time only
while a half-written file is open. What was hit is counted (`-s` shows it).
"""

import random
import shutil
import signal
import time
from collections import Counter
from contextlib import suppress
from typing import NamedTuple

import psutil
import pytest

from tests.ingest.parts import open_parts, writers

pytestmark = pytest.mark.slow
SHARDS = 10


class Kill(NamedTuple):
    """Who was killed, whether a half-written file was open in the stopped process, finished shards."""

    target: str
    inside: bool
    done: int


def finished(out):
    """How many shards of an unfinished folder are done; all, where the manifest stands."""
    return SHARDS if (out / "train/manifest.json").exists() else len(list(out.glob("train/0*.json")))


def strike(driver, out, target, inside, draw):
    """Kills the driver or a worker while there is work; None where all was done before it could."""
    goal, pause = draw.randrange(SHARDS), draw.uniform(0, 0.3)
    while driver.poll() is None and not ((out / "train").exists() and finished(out) >= goal):
        time.sleep(0.005)
    time.sleep(0 if inside else pause)
    while driver.poll() is None:
        # the driver writes too, that the folder is taken: it is no worker
        found = [process for process in writers(out) if process.pid != driver.pid]
        if not found and (inside or target == "worker"):
            continue
        victim = psutil.Process(driver.pid) if target == "driver" else draw.choice(found)
        held = found[0] if found and target == "driver" else victim
        with suppress(psutil.NoSuchProcess):
            held.suspend()
            victim.suspend()
            hit = Kill(target, bool(open_parts(held, out)), finished(out))
            if hit.done < SHARDS and (hit.inside or not inside):
                victim.kill()
                with suppress(psutil.NoSuchProcess):  # a worker whose driver is gone ends by itself
                    held.resume()
                return hit
            held.resume()
            victim.resume()
    return None


def kill_and_go_on(command, snapshot, whole, tmp_path, kind, kills, seed):
    """Runs that are killed again and again end like one that was not."""
    draw, killed, number = random.Random(seed), [], 0
    while len(killed) < kills:
        number += 1
        out = tmp_path / f"cut{number}"
        for _ in range(4):
            target = draw.choice(("driver", "worker"))
            process, hit = command(kind, out), None
            if len(killed) < kills:
                hit = strike(process, out, target, len(killed) % 2 == 0, draw)
            said, _ = process.communicate()
            killed += [hit] if hit else []
            assert process.returncode == (-signal.SIGKILL if hit and target == "driver" else 0), said
            if process.returncode == 0:
                break
        process = command(kind, out)
        said, _ = process.communicate()
        assert process.returncode == 0, said
        assert snapshot(out) == whole
        assert {p.name for p in (out / "train").iterdir()} == {name.partition("/")[2] for name in whole}
        shutil.rmtree(out)
    reconcile(kind, killed, number)


def reconcile(kind, killed, runs):
    """Every kill met unfinished work, a third of them or more inside a write; prints the count."""
    hit = Counter((kill.target, kill.inside) for kill in killed)
    assert all(kill.done < SHARDS for kill in killed)
    assert 3 * (hit["driver", True] + hit["worker", True]) >= len(killed)
    told = ", ".join(
        f"{target} {hit[target, True] + hit[target, False]} ({hit[target, True]} inside a write)"
        for target in ("driver", "worker")
    )
    done = sorted(kill.done for kill in killed)
    print(
        f"| {kind} | {len(killed)} kills: {told} | with {done[0]} to {done[-1]} of {SHARDS} shards done "
        f"| {runs} folders byte-identical to one that was not disturbed |"
    )


@pytest.mark.parametrize("kind", ["local", "ray"])
def test_killed_at_any_moment_the_same_command_gives_the_same_bytes(command, snapshot, whole, tmp_path, kind):
    kill_and_go_on(command, snapshot, whole, tmp_path, kind, kills=5, seed=1)


@pytest.mark.campaign
@pytest.mark.parametrize("kind", ["local", "ray"])
def test_fifty_kills_in_all_and_the_same_command_gives_the_same_bytes(
    command, snapshot, whole, tmp_path, kind
):
    kill_and_go_on(command, snapshot, whole, tmp_path, kind, kills=25, seed=2)


def test_other_options_are_refused_with_both_values_on_ray_too(command, snapshot, whole, tmp_path):
    process = command("ray", tmp_path / "whole", "strength=.5")
    said, _ = process.communicate()
    assert process.returncode == 2
    assert "option strength is 0.0 there and 0.5 here" in said
    assert snapshot(tmp_path / "whole") == whole
