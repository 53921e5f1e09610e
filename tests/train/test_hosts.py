"""Two machines: two network namespaces with an address each, a cable between them, one rank on each."""

import itertools
import os
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from tests.train.runs import folders
from train.runfolder import read_metrics

ROOT = Path(__file__).resolve().parents[2]
LAUNCH = ROOT / "configs" / "launch" / "multinode.yaml"
SETTINGS = [
    "model=crnn_nano",
    "fit.epochs=3",
    "fit.batch=8",
    "fit.save_every=5",
    "fit.log_every=1",
    "data.threads=1",
]
COUNT = itertools.count()


def ip(*words: str, at: str = "") -> None:
    inside = ["-n", at] if at else []
    subprocess.run(["ip", *inside, *words], check=True, capture_output=True, text=True)


@pytest.fixture
def hosts():
    """Names of two namespaces, 10.9.0.1 and 10.9.0.2, joined by a cable whose ends are called `cable`."""
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("needs root, or the test below it, and the command ip, to make network namespaces")
    names = [f"ocr{os.getpid()}-{next(COUNT)}{side}" for side in "ab"]
    try:
        for name in names:
            try:
                ip("netns", "add", name)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}")
            ip("link", "set", "lo", "up", at=name)
        ip(
            "link",
            "add",
            "cable",
            "netns",
            names[0],
            "type",
            "veth",
            "peer",
            "name",
            "cable",
            "netns",
            names[1],
        )
        for number, name in enumerate(names, start=1):
            ip("address", "add", f"10.9.0.{number}/24", "dev", "cable", at=name)
            ip("link", "set", "cable", "up", at=name)
        yield names
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True)


@pytest.fixture
def launch(hosts, words, tmp_path):
    """launch(name) -> the launchers of both machines; they share the folder of runs."""
    begun: list[subprocess.Popen] = []
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("ACCELERATE_", "MASTER_", "TORCHELASTIC"))
    }
    env = {**kept, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "ACCELERATE_USE_CPU": "true"}
    env["GLOO_SOCKET_IFNAME"] = "cable"

    def start(name: str) -> list[subprocess.Popen]:
        run = [f"run.name={name}", f"run.root={tmp_path / 'runs'}", f"data.root={words}", *SETTINGS]
        for rank, host in enumerate(hosts):
            line = ["ip", "netns", "exec", host, sys.executable, "-m", "accelerate.commands.launch"]
            line += [
                "--config_file",
                str(LAUNCH),
                "--main_process_ip",
                "10.9.0.1",
                "--machine_rank",
                str(rank),
            ]
            log = open(tmp_path / f"{name}-{rank}-{len(begun)}.log", "w+")  # noqa: SIM115 (closed below)
            process = subprocess.Popen(
                [*line, str(ROOT / "train" / "teacher.py"), *run], cwd=tmp_path, env=env, stdout=log,
                stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
            begun.append(process)
            process.log = log
        return begun[-2:]

    yield SimpleNamespace(start=start, runs=tmp_path / "runs")
    for process in begun:
        kill(process)
        process.log.close()


def kill(process: subprocess.Popen) -> None:
    """What a machine does when its power goes: everything on it is gone at once."""
    if psutil.pid_exists(process.pid):
        for one in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            with suppress(psutil.NoSuchProcess):  # it may end while it is asked
                one.kill()
    process.wait()


def told(process: subprocess.Popen) -> str:
    process.log.seek(0)
    return process.log.read()


def finish(pair: list[subprocess.Popen]) -> None:
    for process in pair:
        assert process.wait(timeout=240) == 0, told(process)


@pytest.mark.slow
def test_two_machines_train_as_one_and_go_on_after_one_was_lost(launch):
    finish(launch.start("whole"))
    run = launch.runs / "cut"
    pair = launch.start("cut")
    until = time.monotonic() + 240
    while not (
        run.exists() and any("train/loss" in line and line["global_step"] > 12 for line in read_metrics(run))
    ):
        assert all(p.poll() is None for p in pair), [told(p) for p in pair]
        assert time.monotonic() < until, "no step was made"
        time.sleep(0.1)
    kill(pair[1])
    assert pair[0].wait(timeout=240) != 0, "the machine that is left ends, it does not wait for ever"
    finish(launch.start("cut"))
    assert folders(run) == folders(launch.runs / "whole")
    losses = [
        [
            (line["global_step"], line["train/loss"])
            for line in read_metrics(launch.runs / name)
            if "train/loss" in line
        ]
        for name in ("cut", "whole")
    ]
    assert losses[0] == losses[1]


ROOTED = ["unshare", "--user", "--map-root-user", "--net", "--mount", "sh", "-c"]
PLACE = "mount -t tmpfs none /run"  # where ip keeps the names of namespaces


@pytest.mark.slow
@pytest.mark.skipif(not os.geteuid(), reason="root makes namespaces without being made root first")
def test_two_machines_where_nobody_is_root():
    if not shutil.which("unshare") or subprocess.run([*ROOTED, PLACE], capture_output=True).returncode:
        pytest.skip("needs the command unshare, and a system that gives users namespaces of their own")
    again = f"{PLACE} && exec {sys.executable} -m pytest -q -p no:cacheprovider {__file__}"
    done = subprocess.run([*ROOTED, again], cwd=ROOT, capture_output=True, text=True)
    assert "1 passed, 1 skipped" in done.stdout, done.stdout + done.stderr
