"""python -m train.search over real students: killed, resumed, judged word by word, and one that cannot be."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
pytestmark = pytest.mark.slow


def status(run: Path) -> dict:
    path = run / "status.json"
    return json.loads(path.read_text()) if path.exists() else {}


def wait(until, process=None) -> None:
    """Waits for something to come true."""
    late = time.monotonic() + 240
    while not until():
        assert time.monotonic() < late, "too slow"
        assert process is None or process.poll() is None, process.communicate()[0]
        time.sleep(0.05)


def test_students_are_searched_through_a_kill_and_judged_word_by_word(words, cache, tiny, tmp_path):
    out = tmp_path / "out"
    command = [
        sys.executable, "-m", "train.search", f"entry={ROOT / 'distill' / 'student.py'}", f"cache={cache}",
        f"data.root={words}", *tiny, "fit.epochs=3", "fit.batch=8", "fit.log_every=1", "fit.save_every=5",
        "data.threads=1", "method=none,hard", f"evaluate={words}", f"out={out}", "threads=1",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([*command, "data.views=2", "seed=0,1"], stdout=subprocess.PIPE, text=True,
                               stderr=subprocess.STDOUT, env=environment, cwd=tmp_path)  # fmt: skip
    run = out / "runs" / "none-s0"
    wait(lambda: (run / "state").is_dir() and any((run / "state").glob("step-*/position.json")), process)
    process.kill()
    process.communicate()
    wait(lambda: status(run).get("state") in ("preempted", "done"))  # a trial ends with its search
    assert status(run)["reason"].startswith("stopped by launcher died") or status(run)["state"] == "done"

    def search(*more: str) -> tuple[int, str]:
        done = subprocess.run(
            [*command, *more], capture_output=True, text=True, env=environment, cwd=tmp_path
        )
        return done.returncode, done.stdout + done.stderr

    code, output = search("data.views=2", "seed=0,1")
    assert code == 0, output
    board = json.loads((out / "leaderboard.json").read_text())
    verdicts = {row["label"]: row["verdict"] for row in board["rows"]}
    assert verdicts["none"]["verdict"] == "BASELINE"
    assert verdicts["hard"]["verdict"] in ("BETTER", "NO DIFFERENCE", "WORSE")
    assert (verdicts["hard"]["difference"]["words"], verdicts["hard"]["difference"]["seeds"]) == (32, 2)
    for row in board["rows"]:
        for trial in row["trials"]:
            figures = json.loads((out / "trials" / trial["name"] / "evaluation.json").read_text())["models"]
            best = figures[str(out / "runs" / trial["name"] / "best")]
            assert best["word_acc"]["value"] == trial["score"]
    kept = next((out / "runs" / "hard-s1" / "eval").iterdir())
    assert json.loads(kept.read_text())["against"].endswith(
        "none-s1/best"
    )  # trials are each other's controls
    weights = {p: p.stat().st_mtime_ns for p in out.glob("runs/*/best/model.safetensors")}
    assert len(weights) == 4

    code, output = search("data.views=2,9", "seed=0")
    assert code == 4, output
    failed = {t["reason"] for row in json.loads((out / "leaderboard.json").read_text())["rows"]
              for t in row["trials"] if t["state"] == "failed"}  # fmt: skip
    assert failed == {f"{cache}: views is 2 in the cache, data.views=9 here"}
    assert {p: p.stat().st_mtime_ns for p in weights} == weights
