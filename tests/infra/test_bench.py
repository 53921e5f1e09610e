"""The benchmarks run at a tiny size and tell every figure they promise; no figure is judged here."""

import gc
import importlib
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from shards.engines.plain import Engine
from shards.image import ImageSpec
from shards.read import Shards

ROOT = Path(__file__).resolve().parent.parent.parent
BENCH = ROOT / "infra" / "bench"
SCRIPTS = ("loader", "sharding", "training", "student", "decoders", "models", "hmean")


def environment(**more: str) -> dict[str, str]:
    python = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": python, "PYTHON": sys.executable, **more}


def call(script: str, *arguments: str, **more: str) -> subprocess.CompletedProcess:
    line = [sys.executable, str(BENCH / f"{script}.py"), *arguments]
    return subprocess.run(line, cwd=ROOT, env=environment(**more), capture_output=True, text=True)


@pytest.fixture
def module(monkeypatch):
    """A module of infra/bench, as its scripts import it."""
    monkeypatch.syspath_prepend(BENCH)
    return importlib.import_module


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> str:
    """What all.sh writes at a tiny size, without real data."""
    pytest.importorskip("lmdb", reason="the extra `lmdb` is not installed")
    out = tmp_path_factory.mktemp("bench") / "bench.md"
    more = environment(SIZE="small", OCR_REAL_DATA=str(out.parent / "none"))
    done = subprocess.run(["bash", str(BENCH / "all.sh"), str(out)], env=more, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr + out.read_text()
    return out.read_text()


def tables(report: str, script: str) -> dict[str, dict[str, list[str]]]:
    """{title: {row: its other cells}} of a script's first section."""
    section = report.split(f"`python infra/bench/{script}.py")[1].split("`python infra/bench/")[0]
    found: dict[str, dict[str, list[str]]] = {}
    for title, body in re.findall(r"^\*\*(.*)\*\*\n\n((?:\|.*\n)+)", section, re.M):
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in body.splitlines()[2:]]
        found[title] = {row[0]: row[1:] for row in rows}
    return found


def numbers(cells: list[str]) -> list[float]:
    text = " ".join(cells).replace(",", "")
    assert re.fullmatch(r"[\d. \[\]]*", text), text
    return [float(number) for number in re.findall(r"[\d.]+", text)]


CEILING, PEER = "ceiling: decode + resize", "webdataset + Pillow"
ROWS = [  # script, rows of one of its tables, figures in a row
    ("loader", [CEILING, "engine plain, random order", "engine plain, stored order", PEER], 11),
    ("loader", [CEILING, "Loader, plain", "Loader, plain, after an epoch in memory=256", PEER,
                "LMDB + Pillow, num_workers=0", "LMDB + Pillow, num_workers=1"], 11),
    ("sharding", ["ours: ingest.jobs", "decode once + TarWriter, mtime=0", "decode once + TarWriter"], 8),
    ("training", ["ours", "ours, memory=0", "plainest loop, files, num_workers=0",
                  "plainest loop, files, num_workers=1", "plainest loop, LMDB, num_workers=0",
                  "plainest loop, LMDB, num_workers=1"], 14),
    ("training", ["ours", "plainest loop"], 8),
    ("student", ["without a teacher (method=none)", "reads the cache, and uses nothing of it",
                 "hard, from the cache", "hard, live teacher", "logits, from the cache",
                 "logits, live teacher"], 7),
    ("decoders", ["greedy", "certified", "beam", "beam, own", "beam, ngram", "lexicon"], 6),
    ("hmean", ["H at all thresholds", "all figures", "marks of every word"], 3),
    ("serving", ["batch=16", "batch=1"], 6),
]  # fmt: skip
WRONG = [
    ("loader", "data=nowhere"), ("loader", "rounds=0"), ("sharding", "data=nowhere"), ("training", "batch=0"),
    ("training", "precision=fp8"), ("student", "views=0"), ("student", "method=nonsense"),
    ("decoders", "lines=0"), ("decoders", "classes=5"), ("models", "words=9"), ("models", "model=nonsense"),
    ("hmean", "found=0"), ("serving", "batch=1"), ("serving", "requests=0"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(("script", "rows", "figures"), ROWS)
def test_every_row_is_there_with_figures_that_are_finite(report, script, rows, figures):
    table = next(t for t in tables(report, script).values() if set(rows) <= set(t))
    for name, cells in table.items():
        found = numbers(cells)
        assert len(found) == figures + ("live teacher" in name), (name, cells)
        assert all(math.isfinite(number) and number > 0 for number in found), (name, cells)


@pytest.mark.slow
def test_a_report_says_what_was_not_measured_and_no_place_of_this_machine(report):
    assert "icdar2015: not measured" in report
    assert "page cache warm" in report
    assert "FAILED" not in report
    assert str(ROOT) not in report


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_help_opens_with_examples_and_explains_every_setting(script):
    done = call(script, "--help")
    assert done.returncode == 0
    assert done.stdout.count(f"python infra/bench/{script}.py") == 3
    settings = done.stdout.split("settings (key=? lists what exists):\n")[1].splitlines()
    assert all(re.fullmatch(r"  \w+= .*\S  \S.*", line) for line in settings), settings


@pytest.mark.slow
@pytest.mark.parametrize(("script", "wrong"), WRONG)
def test_what_cannot_be_is_refused_in_one_line(script, wrong):
    done = call(script, wrong)
    assert done.returncode == 2, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert wrong.partition("=")[2] in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_models_are_trained_and_judged_once_and_those_that_say_nothing_are_marked(tmp_path):
    told = [f"work={tmp_path}", "model=crnn_nano,svtr_nano", "words=64", "batch=16", "steps=2", "rate=.001"]
    done = call("models", *told)
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if "_nano" in line]
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "figures").glob("*.json")}
    assert [row[:2] for row in rows] == [["crnn_nano", "23,437"], ["svtr_nano", "128,413"]]
    for row, path in zip(rows, sorted(kept), strict=True):
        found = json.loads(path.read_text())
        assert found["ms_per_image"] > 0
        found["blanks"] = 0.96 if "svtr" in path.name else 0.94
        path.write_text(json.dumps(found))
        kept[path] = path.stat().st_mtime_ns
        assert row[5].startswith("0.00 [0.00, ")
    again = call("models", *told).stdout.splitlines()
    assert ["COLLAPSED" in line for line in again if "_nano" in line] == [False, True]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.slow
def test_the_scale_of_a_small_set_is_told():
    done = call("scale", "rows=16384", "shards=2")
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in done.stdout.splitlines() if re.search(r"\d \|$", line)]
    assert [len(row) for row in rows] == [3, 4, 4, 4, 4]
    assert all(0 < numbers(row[-1:])[0] < 1024 for row in rows)  # MiB
    assert all(numbers(row[1:-1]) for row in rows)  # seconds


def test_contenders_take_turns_and_the_first_pass_of_each_does_not_count(module):
    rounds, calls = module("rounds"), []
    found = rounds.take_turns({n: lambda n=n: calls.append(n) or 1 for n in "ab"}, 3)
    assert calls == list("abababab")
    assert [len(passes) for passes in found.passes.values()] == [3, 3]


def test_a_ratio_is_the_median_of_those_within_the_rounds(module):
    rounds = module("rounds")
    passes = {
        "a": [rounds.Pass(wall, 1) for wall in (10, 40, 90)],
        "b": [rounds.Pass(wall, 2) for wall in (10, 20, 30)],
    }
    found = rounds.Found(passes)
    assert str(found.ratio("a", "b")) == "2.00 [1.00, 3.00]"
    assert str(found.ratio("a", "b", "cpu")) == "0.50 [0.50, 0.50]"
    assert found.speed("a") == 40


@pytest.mark.filterwarnings("ignore")  # webdataset leaves tars to the collector
def test_the_peers_read_the_same_words_as_ours(module, words, tmp_path):
    pytest.importorskip("lmdb", reason="the extra `lmdb` is not installed")
    peers, shards = module("peers"), Shards([words], "train")
    texts = [shards.text(i) for i in range(len(shards))]
    pixels = Engine(shards, ImageSpec(), 1).read(np.arange(len(shards))).pixels
    tars = [
        item for batch in peers.tar_batches(peers.tar_files(shards), 40) for item in zip(*batch, strict=True)
    ]
    files, lmdb = peers.Files(peers.unpack(shards, tmp_path / "files")), peers.Lmdb(shards, tmp_path / "lmdb")
    for found in (tars, [files[i] for i in range(len(files))], [lmdb[i] for i in range(len(lmdb))]):
        assert [label for _, label in found] == texts
        theirs = np.stack([(image.numpy() + 1) / 2 * 255 for image, _ in found])
        assert np.abs(theirs - pixels).mean() < 1  # Pillow makes grey of colours, our decoder takes the grey
    assert peers.tar_canvases(peers.tar_files(shards)) == len(shards)
    gc.collect()
