"""Launches that are not what they seem, and the ways a process is asked to stop."""

import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from shards.errors import BadData, BadSettings
from train import runtime
from train.clock import Clock, seconds_of
from train.ctc import VARIES
from train.runtime import StopRequest, _asked_of_launcher

ACCELERATE = ["python", "/venv/bin/accelerate", "launch"]


@pytest.mark.parametrize(
    ("command", "count"),
    [
        ([*ACCELERATE, "--cpu", "--num_processes", "2", "train/teacher.py"], 2),
        ([*ACCELERATE, "--num-processes=4", "train/teacher.py"], 4),
        ([*ACCELERATE, "train/teacher.py", "processes=2"], 0),
        (["python", "-m", "torch.distributed.run", "--nproc_per_node", "2", "x.py"], 2),
        (["torchrun", "--nnodes=3", "--nproc-per-node=2", "x.py"], 6),
        (["torchrun", "--nnodes=1:4", "--nproc-per-node=2", "x.py"], 0),
        (["torchrun", "--nproc_per_node", "gpu", "x.py"], 0),
        ([*ACCELERATE, "--config_file", "missing.yaml", "x.py"], 0),
        (["bash", "-c", "--num_processes", "2"], 0),
        (["bash", "-c", "cd accelerate; python x.py", "--num_processes", "2"], 0),
        (["accelerate", "--num_processes"], 0),
        ([], 0),
    ],
)
def test_the_count_on_a_launchers_command_line(command, count):
    assert _asked_of_launcher(command) == count


def test_the_count_in_a_launchers_file(tmp_path):
    (tmp_path / "two.yaml").write_text("num_processes: 2\nuse_cpu: true\n")
    (tmp_path / "empty.yaml").write_text("")
    assert _asked_of_launcher([*ACCELERATE, "--config_file", str(tmp_path / "two.yaml"), "x.py"]) == 2
    assert _asked_of_launcher([*ACCELERATE, f"--config_file={tmp_path / 'empty.yaml'}", "x.py"]) == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("launcher", "env", "more", "named"),
    [
        (["launch", "--cpu", "--num_processes", "2"], {}, [], "1 processes in this group, 2 on the launcher"),
        ([], {"WORLD_SIZE": "2", "RANK": "0"}, [], "1 processes in this group, 2 in WORLD_SIZE"),
        ([], {}, ["processes=2"], "1 processes in this group, 2 asked for by processes="),
    ],
)
def test_a_launch_that_is_not_what_was_asked_for_is_refused(command, launcher, env, more, named):
    line = [sys.executable, "-m", "accelerate.commands.accelerate_cli", *launcher] if launcher else None
    code, output = command.run("wrong", *more, launcher=line, **env)
    assert code == (1 if launcher else 2), output  # accelerate turns every code into 1
    assert named in output
    assert "ACCELERATE_USE_CPU=true accelerate launch --multi_gpu" in output
    assert not command.runs.exists()


@pytest.mark.parametrize("number", StopRequest.SIGNALS)
def test_a_signal_is_a_request_with_a_name(number):
    before = signal.getsignal(number)
    stop = StopRequest()
    try:
        assert not stop.asked()
        os.kill(os.getpid(), number)
        assert stop.asked()
        assert stop.reason == signal.Signals(number).name
    finally:
        stop.close()
    assert signal.getsignal(number) == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("env", "name", "said"),
    [({"LOCAL_RANK": "0"}, "any", "launcher died"), ({}, "torchrun", "launcher died"), ({}, "any", "nobody")],
)
def test_a_launcher_that_died_is_a_request_and_a_shell_that_ended_is_none(tmp_path, env, name, said):
    worker = (
        "import os, sys, time; from train.runtime import StopRequest\n"
        "parent = os.getppid(); stop = StopRequest(); print('up', flush=True)\n"
        "while os.getppid() == parent: time.sleep(.01)\n"
        "stop.asked(); open(sys.argv[1], 'w').write(stop.reason or 'nobody')"
    )
    launcher = "import subprocess, sys; subprocess.run([sys.executable, '-c', *sys.argv[1:]])"
    process = subprocess.Popen(
        [sys.executable, "-c", launcher, worker, str(tmp_path / "reason"), name],
        stdout=subprocess.PIPE,
        env={k: v for k, v in os.environ.items() if k != "LOCAL_RANK"} | env,
    )
    process.stdout.readline()
    process.kill()
    process.communicate()
    until = time.monotonic() + 20
    while time.monotonic() < until and not (tmp_path / "reason").exists():
        time.sleep(0.01)
    time.sleep(0.05)
    assert (tmp_path / "reason").read_text() == said


def test_a_stop_on_rank_0_is_raised(forget_accelerate):
    from accelerate import Accelerator

    def refuse():
        raise BadData("no")

    forget_accelerate()
    accelerator, done = Accelerator(cpu=True), []
    runtime.on_main(accelerator, lambda: done.append(1))
    assert done == [1]
    with pytest.raises(BadData, match="no"):
        runtime.on_main(accelerator, refuse)


@pytest.mark.parametrize(
    ("text", "seconds"), [("45m", 2700), ("2h30m", 9000), ("90s", 90), ("7", 7), ("1h0m5s", 3605), ("0s", 0)]
)
def test_times_as_people_write_them(text, seconds):
    assert seconds_of(text) == seconds
    assert seconds_of("") == float("inf")


def test_a_clock_counts_all_sessions():
    clock = Clock("1h")
    assert not clock.over
    clock.before = 3600.0
    assert clock.over
    assert clock.spent >= 3600
    assert not Clock("").over


@pytest.mark.parametrize(("strict", "device"), [(True, "cpu"), (False, "cuda"), (False, "cpu")])
def test_what_can_be_repeated_may_be_asked_for(strict, device):
    try:
        runtime.repeat(strict, device, VARIES)
        assert torch.are_deterministic_algorithms_enabled() == strict
    finally:
        torch.use_deterministic_algorithms(False)


def test_a_strict_run_is_refused_where_the_gradient_of_its_loss_varies():
    with pytest.raises(BadSettings, match=r"repro=strict: on cuda .*repro=usual.*ACCELERATE_USE_CPU=true"):
        runtime.repeat(True, "cuda", VARIES)
    assert not torch.are_deterministic_algorithms_enabled()
