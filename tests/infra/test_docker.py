"""The files of infra/docker: their rules, and that what the CPU image installs works where nothing else is.

No engine builds them here: the test carries out the lines of the build stage, in their order, elsewhere.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from shards.read import Shards
from train.predict import PRETRAINED
from train.reader import Reader

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "infra" / "docker"
FILES = ("cpu.Dockerfile", "gpu.Dockerfile")
CONSTRAINTS = (ROOT / "infra" / "constraints.txt").read_text()


def instructions(name: str) -> list[tuple[str, str]]:
    """(instruction, its arguments) of a Dockerfile, lines joined, comments left out."""
    text = re.sub(r"^#.*\n", "", (FOLDER / name).read_text(), flags=re.M).replace("\\\n", " ")
    return [(word, " ".join(rest.split())) for word, rest in re.findall(r"^([A-Z]+) (.*)$", text, re.M)]


def stages(name: str) -> list[list[tuple[str, str]]]:
    """The same by stages, each begun by its FROM."""
    out: list[list[tuple[str, str]]] = []
    for word, rest in instructions(name):
        if word == "FROM":
            out.append([])
        out[-1].append((word, rest))
    return out


def copied(name: str) -> list[str]:
    """What the build takes from the checkout."""
    taken = [
        rest.split()[:-1] for word, rest in instructions(name) if word == "COPY" and "--from" not in rest
    ]
    return [path for paths in taken for path in paths]


@pytest.mark.parametrize("name", FILES)
def test_the_base_is_pinned_by_version_and_digest_and_is_the_same_twice(name):
    bases = {rest.split()[0] for word, rest in instructions(name) if word == "FROM"}
    (base,) = bases
    assert re.fullmatch(r"python:3\.1[12]\.\d+-slim-\w+@sha256:[0-9a-f]{64}", base)


@pytest.mark.parametrize("name", FILES)
def test_packages_are_installed_under_the_constraints_and_nothing_that_builds_is_left(name):
    build, last = stages(name)
    installs = [rest for word, rest in build if word == "RUN" and " install " in rest]
    assert len(installs) == 3
    assert all("-c infra/constraints.txt" in rest for rest in installs)
    (torch,) = re.findall(r"torch==([\d.]+)", " ".join(installs))
    assert f"\ntorch=={torch}\n" in CONSTRAINTS
    runs = " ".join(rest for word, rest in last if word == "RUN")
    assert "uninstall --yes setuptools wheel pip" in runs
    assert not re.search(r"apt-get|pip install|gcc|build-essential", runs)


@pytest.mark.parametrize("name", FILES)
def test_the_image_runs_as_a_user_who_may_not_change_it(name):
    _, last = stages(name)
    users = [rest for word, rest in last if word == "USER"]
    assert users == ["10001"]  # a number, or Kubernetes cannot tell that it is not root
    after = last[last.index(("USER", "10001")) :]
    assert not any(word in ("RUN", "COPY") for word, _ in after)
    (entry,), (command,) = (
        [json.loads(rest) for word, rest in last if word == kind] for kind in ("ENTRYPOINT", "CMD")
    )
    assert entry == ["python", "-m"]
    assert find_spec(command[0])


@pytest.mark.parametrize("name", FILES)
def test_a_mounted_folder_is_written_by_its_owner_who_need_be_no_user_of_the_image(name):
    head = (FOLDER / name).read_text().partition("\nFROM ")[0].replace("\\\n", " ")
    mounted = [line for line in head.splitlines() if "docker run" in line and "-v " in line]
    assert mounted
    assert all('--user "$(id -u):$(id -g)"' in line for line in mounted)
    _, last = stages(name)
    told = dict(pair.split("=", 1) for word, rest in last if word == "ENV" for pair in rest.split())
    assert (told["HOME"], told["USER"]) == ("/tmp", "reader")  # else caches and names are looked up and fail


def test_the_image_that_serves_asks_itself_how_it_is():
    _, last = stages("cpu.Dockerfile")
    (check,) = [rest for word, rest in last if word == "HEALTHCHECK"]
    command = json.loads(check.partition("CMD ")[2])
    assert command[:2] == ["python", "-c"]
    compile(command[2], "HEALTHCHECK", "exec")
    assert ":8000/health" in command[2]
    assert ("EXPOSE", "8000") in last


@pytest.mark.parametrize("name", FILES)
def test_what_is_copied_exists_and_is_all_that_the_build_may_see(name):
    seen = (FOLDER / f"{name}.dockerignore").read_text().splitlines()
    assert seen[1] == "*"
    assert {line[1:] for line in seen if line.startswith("!")} == set(copied(name))
    assert all((ROOT / path).exists() for path in copied(name))


@pytest.mark.parametrize("name", FILES)
def test_the_extras_of_an_image_are_there(name):
    (extras,) = [rest.partition("=")[2] for word, rest in instructions(name) if word == "ARG"]
    known = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = ", known, re.M) for extra in extras.split(","))


def installed(tmp_path: Path) -> Path:
    """The build stage of the CPU image, carried out below tmp_path; returns its environment."""
    build, _ = stages("cpu.Dockerfile")
    source, venv = tmp_path / "source", tmp_path / "venv"
    for path in copied("cpu.Dockerfile"):
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / path).is_dir():
            shutil.copytree(ROOT / path, source / path, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / path, source / path)
    told = dict(pair.split("=", 1) for word, rest in build if word in ("ENV", "ARG") for pair in rest.split())
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    for word, rest in build:
        if word != "RUN":
            continue
        line = rest.replace("/opt/venv", str(venv)).replace("python -m venv", f"{sys.executable} -m venv")
        done = subprocess.run(
            ["bash", "-ec", line], cwd=source, capture_output=True, text=True,
            env={**clean, **told, "PIP_RETRIES": "0"},  # an index that cannot be reached is left at once
        )  # fmt: skip
        assert done.returncode == 0, f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    shutil.rmtree(source)
    return venv


def offered(package: str, *more: str) -> list[str]:
    """The versions of a package that pip finds from this machine; none where it reaches no index."""
    line = [sys.executable, "-m", "pip", "index", "versions", package, *more]
    env = {**os.environ, "PIP_RETRIES": "0", "PIP_TIMEOUT": "10"}
    said = subprocess.run(line, capture_output=True, text=True, env=env).stdout
    found = re.search(r"^Available versions: (.*)$", said, re.M)
    return found[1].split(", ") if found else []


@pytest.mark.slow
def test_what_the_cpu_image_installs_reads_a_word_and_is_pinned_to_the_last_package(words, tmp_path):
    runs = " ".join(rest for word, rest in stages("cpu.Dockerfile")[0] if word == "RUN")
    ((index, torch),) = re.findall(r"--extra-index-url (\S+) torch==(\S+)", runs)
    if torch not in offered("torch", "--extra-index-url", index) or not offered("setuptools"):
        pytest.skip(f"no index can be reached that has torch {torch} and the other packages")
    venv = installed(tmp_path)
    shards, reader = Shards([str(words)], "test"), Reader(PRETRAINED)
    read = {image: reader.read([image])[0].text for image in map(shards.image, range(len(shards)))}
    picture, (image, text) = tmp_path / "word.jpg", max(read.items(), key=lambda item: len(item[1] or ""))
    picture.write_bytes(image)
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def python(*arguments: str) -> str:
        line = [str(venv / "bin" / "python"), *arguments]
        done = subprocess.run(line, cwd=tmp_path, env=clean, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "python -m train.predict" in python("-m", "train.predict", "--help")
    assert text
    assert text in python("-m", "train.predict", str(picture))
    assert "python -m train.serve" in python("-m", "train.serve", "--help")
    listing = (
        "from importlib.metadata import distributions as d; print(*{x.name + '==' + x.version for x in d()})"
    )
    found = {re.sub(r"[-_.]+", "-", one).lower() for one in python("-c", listing).split()}
    pinned = {re.sub(r"[-_.]+", "-", line).lower() for line in CONSTRAINTS.splitlines()}
    loose = {one.split("+")[0] for one in found} - pinned
    assert {one.split("==")[0] for one in loose} == {"ocr-distillery"}
