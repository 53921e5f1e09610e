"""README commands run as they stand, at a small size; so does the demo."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from ingest import splits
from shards import config, lookup

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
# What makes a README command small; the command itself is not changed.
SMALLER = {
    "ingest.shard": ["count=96"],
    "train/teacher.py": ["fit.epochs=1", "fit.batch=32"],
    "distill/student.py": ["fit.epochs=1", "fit.batch=32"],
    "train.search": ["fit.epochs=1", "fit.batch=32"],
}


def blocks() -> list[list[str]]:
    found = re.findall(r"```bash\n(.*?)```", README.read_text(), re.S)
    return [block.replace("\\\n", "").splitlines() for block in found]


def environment() -> dict[str, str]:
    bin_ = str(Path(sys.executable).parent)
    path = f"{bin_}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


@pytest.mark.slow
def test_the_commands_by_hand_run_in_their_order(tmp_path):
    (tmp_path / "train").symlink_to(ROOT / "train")
    (tmp_path / "distill").symlink_to(ROOT / "distill")
    block = next(b for b in blocks() if any("train/teacher.py" in line for line in b))
    ran = 0
    for line in block:
        command = shlex.split(line, comments=True)
        if not command or command[0] == ".":
            continue
        small = [extra for part, more in SMALLER.items() if part in command for extra in more]
        # the last value of a key counts, so the README's own figures are overruled
        command += small
        done = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True)
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
        ran += 1
    assert ran >= 10
    assert (tmp_path / "runs" / "small" / "report.html").exists()
    assert (tmp_path / "runs" / "methods" / "leaderboard.md").exists()


@pytest.mark.slow
def test_the_demo_runs_small_resumes_at_once_and_says_what_it_saw(tmp_path):
    demo = ["bash", str(ROOT / "infra" / "demo.sh")]
    setting = {**environment(), "SIZE": "small", "OUT": str(tmp_path / "demo"), "PYTHON": sys.executable}
    first = subprocess.run(demo, env=setting, capture_output=True, text=True)
    assert first.returncode == 0, first.stdout[-3000:] + first.stderr[-3000:]
    summary = json.loads((tmp_path / "demo" / "summary.json").read_text())
    assert summary["verdict"] in ("BETTER", "NO DIFFERENCE", "WORSE")
    for model in ("teacher", "student", "control"):
        assert 0 <= summary[model]["word_acc"]["value"] <= 1
        assert summary[model]["n"] == 64
    assert summary["student"]["params"] == summary["control"]["params"] <= summary["teacher"]["params"] / 5
    assert (tmp_path / "demo" / "report.html").stat().st_size < 5e6
    weights = (tmp_path / "demo" / "student" / "best" / "model.safetensors").read_bytes()
    second = subprocess.run(demo, env=setting, capture_output=True, text=True)
    assert second.returncode == 0
    assert weights == (tmp_path / "demo" / "student" / "best" / "model.safetensors").read_bytes()


def test_files_that_the_readme_names_exist():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README.read_text()):
        assert (ROOT / target).exists(), target
    fenced = README.read_text().split("```")[1::2]
    tree = next(block.lstrip() for block in fenced if block.startswith("\nshards/"))
    known = {p.name for folder in tree_folders(tree) for p in (ROOT / folder).rglob("*")}
    for named in re.findall(r"\b(\w+\.(?:py|sh|txt|md))\b", tree):
        assert named in known, named


def tree_folders(tree: str) -> list[str]:
    folders = re.findall(r"^(\w+)/", tree, re.M)
    assert folders == ["shards", "ingest", "train", "distill", "configs", "infra", "tests"]
    return folders


def test_every_source_has_a_line_in_the_table_whose_settings_it_takes():
    rows = re.findall(r"^\| [^|]+ \| `(source=[^`]+)`", README.read_text(), re.M)
    told = {row.split()[0].partition("=")[2]: row for row in rows}
    assert set(told) == set(lookup.members("ingest.sources")) - {"synth90k"}
    for row in told.values():
        asked = config.read(splits.Settings, "shard", [*shlex.split(row), "out=data/x"])
        assert f"source={asked.source.name}" in row
