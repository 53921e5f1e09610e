"""train/teacher.py as a command: several processes, every way of being stopped."""

import json
import os
import signal
import sys
import time

import psutil
import pytest

from tests.train.runs import LONG, folders, status, values
from train.predict import PRETRAINED
from train.runfolder import read_lines, read_metrics

pytestmark = pytest.mark.slow
PACKAGED = [
    f"init_from={PRETRAINED}", "model.channels=16,32,64,64,128,128,128", "model.map_to_seq=32",
    "model.rnn_hidden=128",
]  # fmt: skip
STILL = """
import json, sys
import torch
from shards import config
from train import training, workbench
from train.steps import TaskStep

class Still(TaskStep):
    def forward(self, batch):
        for module in self.model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        return super().forward(batch)

settings = config.read(workbench.Settings, "teacher", sys.argv[1:])
bench = workbench.bench(settings, "test")
seen = open(f"{settings.run.name}-{bench.accelerator.process_index}.jsonl", "w")

def teach(batch):
    uids = batch.uids[batch.valid].tolist()
    print(json.dumps([batch.epoch, batch.step, uids]), file=seen, flush=True)
    return batch

training.run(bench, Still(bench.model, bench.task), teach, {})
"""


def reach(process, run, step) -> None:
    """Waits until the run has logged a step."""
    until = time.monotonic() + 120
    while not any(line["global_step"] >= step for line in read_metrics(run)):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < until, "too slow"
        time.sleep(0.005)


def settle(run, pids) -> dict:
    """The status once none of these processes lives."""
    until = time.monotonic() + 60
    while any(lives(pid) for pid in pids):
        assert time.monotonic() < until, "a process did not end"
        time.sleep(0.02)
    return status(run)


def lives(pid: int) -> bool:
    """Whether a process runs still: one that ends while it is asked does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ranks(process) -> list[int]:
    return [
        p.pid
        for p in psutil.Process(process.pid).children(recursive=True)
        if "teacher.py" in " ".join(p.cmdline())
    ]


def test_one_process_stops_at_a_signal_or_with_its_launcher_and_goes_on(command):
    run = command.runs / "one"
    process = command.start("one", *LONG)
    reach(process, run, 5)
    process.send_signal(signal.SIGTERM)
    output = process.communicate()[0]
    assert process.returncode == 85, output
    told = status(run)
    assert (told["state"], told["code"]) == ("preempted", 85)
    assert told["reason"].startswith("stopped by SIGTERM at step")
    launcher = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    process = command.start("one", *LONG, launcher=launcher)
    reach(process, run, 30)
    workers = ranks(process)
    process.kill()
    told = settle(run, workers)
    assert (told["state"], told["code"]) == ("preempted", 85)
    assert told["reason"].startswith("stopped by launcher died")
    code, output = command.run("one", *LONG)
    assert code == 0, output
    command.run("whole", *LONG)
    assert status(run)["state"] == "done"
    assert folders(run) == folders(command.runs / "whole")
    assert values(run, "train/loss") == values(command.runs / "whole", "train/loss")
    assert sorted(p.name for p in command.runs.iterdir()) == ["one", "whole"]


def stop_one_rank(process):
    os.kill(ranks(process)[-1], signal.SIGTERM)


def stop_launcher(process):
    process.send_signal(signal.SIGTERM)


def stop_group(process):
    os.killpg(process.pid, signal.SIGTERM)


def kill_launcher(process):
    process.kill()


def test_two_processes_stop_together_however_they_are_told_and_go_on(command):
    code, output = command.run("whole", *LONG, processes=2)
    assert code == 0, output
    run = command.runs / "two"
    for step, tell in ((5, stop_one_rank), (25, stop_launcher), (45, stop_group), (65, kill_launcher)):
        process = command.start("two", *LONG, processes=2)
        reach(process, run, step)
        pids = ranks(process)
        assert len(pids) == 2
        tell(process)
        told = settle(run, pids)
        assert (told["state"], told["code"]) == ("preempted", 85), (tell.__name__, told)
        process.communicate()
    code, output = command.run("two", *LONG, processes=2)
    assert (code, status(run)["state"], status(run)["code"]) == (0, "done", 0), output
    assert values(run, "train/loss", "train/grad_norm") == values(
        command.runs / "whole", "train/loss", "train/grad_norm"
    )
    assert folders(run) == folders(command.runs / "whole")
    assert sorted(p.name for p in command.runs.iterdir()) == ["two", "whole"]
    code, output = command.run("two", *LONG, "optim.lr=1", processes=2)  # refused on rank 0, told to both
    assert code == 1
    assert "optim.lr=0.003, now it is 1.0" in output
    assert status(run)["state"] == "done"


def test_two_processes_see_what_one_sees_and_judge_alike(command, words, tmp_path):
    """Batch statistics are each rank's own: without them the losses of 1 and 2 processes are one trace."""
    from train.evaluation import main as evaluate

    for name, processes in (("one", 1), ("two", 2)):
        code, output = command.run(name, script=STILL, processes=processes)
        assert code == 0, output
    one, two, other = (read_lines(tmp_path / f"{name}.jsonl") for name in ("one-0", "two-0", "two-1"))
    assert [[e, s, a + b] for (e, s, a), (_, _, b) in zip(two, other, strict=True)] == one
    for key in ("train/loss", "train/grad_norm", "val/cer"):
        found, wanted = (values(command.runs / n, key) for n in ("two", "one"))
        assert [v for _, v in found] == pytest.approx([v for _, v in wanted], rel=1e-3)
    run = command.runs / "two"
    evaluate(
        [f"checkpoint={run / 'best'}", f"data.root={words}", "data.split=val", f"out={tmp_path / 'o.json'}"]
    )
    (figures,) = json.loads((tmp_path / "o.json").read_text())["models"].values()
    kept = json.loads((run / "best" / "config.json").read_text())["metrics"]
    for name in ("word_acc", "cer", "one_minus_ned", "edit_distance_mean"):
        assert figures[name]["value"] == pytest.approx(kept[name], abs=1e-6)
    assert figures["n"] == kept["n"] == 32


def test_one_two_and_four_processes_judge_a_model_alike(command):
    known = []
    for processes in (1, 2, 4):
        name = f"on{processes}"
        code, output = command.run(name, *PACKAGED, "fit.epochs=1", processes=processes)
        assert code == 0, output
        first = next(line for line in read_metrics(command.runs / name) if "val/word_acc" in line)
        known.append({key: value for key, value in first.items() if key.startswith("val/")})
    assert 0 < known[0]["val/word_acc"] < 1
    assert known[0]["val/n"] == 32
    assert known[1:] == known[:1] * 2
