"""The wheel: built from the files that git knows, looked into, installed where nothing is, asked for help."""

import os
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from zipfile import ZipFile

from place import ROOT, Found, Place, call, code, tail

INSIDE = {"ingest", "shards", "train", "distill", "configs"}  # what a wheel holds, beside its metadata
PROGRAMS = ("train.edge.read",)  # travels with exported models, is no entry


def check_wheel(place: Place) -> Found:
    """Built, looked into, installed beside nothing but pip, torch first and alone as `make setup` does."""
    built = wheel(place)
    names = ZipFile(built).namelist()
    failures = [f"{built.name}: {said}" for said in amiss(names, tracked())]
    rows = [[built.name, f"{built.stat().st_size / 1e6:.1f} MB", f"{len(names)} files"]]
    for what in ("torch", built):
        begun, done = time.monotonic(), place.install(what)
        rows.append([f"pip install {Path(what).name}", f"{time.monotonic() - begun:.0f} s", code(done)])
        if done.returncode:
            said = f"pip install {Path(what).name}: {tail(done)}"
            failures.append(f"{said}; see dependencies in pyproject.toml, infra/constraints.txt")
    checked = call(place.python, "-m", "pip", "check", check=False)
    rows.append(["pip check", "", code(checked)])
    failures += [f"pip check: {tail(checked)}"] if checked.returncode else []
    return Found(("step", "size or time", "said"), rows, failures)


def tracked() -> list[str]:
    """The files that git knows, those of the working tree that it would take included."""
    listed = call("git", "ls-files", "--cached", "--others", "--exclude-standard", cwd=ROOT).stdout
    return [name for name in listed.splitlines() if (ROOT / name).is_file()]


def wheel(place: Place) -> Path:
    """The wheel of a copy of those files: nothing else that lies about can get into it."""
    out = place.folder / "dist"
    if not list(out.glob("*.whl")):
        for name in tracked():
            path = place.folder / "source" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes((ROOT / name).read_bytes())
        call(place.python, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", out, place.folder / "source")
    (built,) = out.glob("*.whl")
    return built


def amiss(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """What a wheel of these files lacks, and what does not belong into it."""
    info = {name.split("/")[0] for name in names if ".dist-info/" in name}
    strange = [name for name in names if name.split("/")[0] not in INSIDE | info]
    wanted = [name for name in known if name.split("/")[0] in INSIDE]
    lacking = sorted(set(wanted) - set(names))
    said = [f"{name} does not belong into it: see [tool.setuptools] in pyproject.toml" for name in strange]
    said += [f"{name} is lacking: see packages and package-data in pyproject.toml" for name in lacking]
    licensed = any("/licenses/" in name for name in names)
    return said if licensed else [*said, "no licence is in it: see license-files in pyproject.toml"]


def check_help(place: Place) -> Found:
    """Every module of the wheel that runs as a program, in a folder that holds nothing."""
    with ZipFile(wheel(place)) as archive:
        entries = [
            name.removesuffix(".py").replace("/", ".")
            for name in sorted(archive.namelist())
            if name.endswith(".py") and b'__name__ == "__main__"' in archive.read(name)
        ]
    empty = place.folder / "empty"
    empty.mkdir(exist_ok=True)
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def asked(entry: str) -> subprocess.CompletedProcess[str]:
        return call(place.python, "-m", entry, "--help", check=False, cwd=empty, env=clean)

    entries = [entry for entry in entries if entry not in PROGRAMS]
    with ThreadPoolExecutor(2) as several:
        answers = dict(zip(entries, several.map(asked, entries), strict=True))
    failed = {entry: done for entry, done in answers.items() if done.returncode or not done.stdout.strip()}
    rows = [[entry, tail(failed[entry]) if entry in failed else "answers"] for entry in entries]
    said = [f"{entry} --help: {tail(done)}" for entry, done in failed.items()]
    return Found(("python -m", "--help"), rows, said)
