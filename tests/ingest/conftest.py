"""What the tests of ingest share: folders compared byte by byte, images, the command line."""

import hashlib
import io
import os
import resource
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from ingest.shard import main
from shards import progress

SET = ["source=rendered", "count=400", "vocabulary=100", "rows_per_shard=40", "strength=0"]  # 10 shards
ROOT = Path(__file__).resolve().parent.parent.parent
CLUSTER = """
import sys
import ray

store = dict(include_dashboard=False, object_store_memory=100_000_000, log_to_driver=False)
told = ray.init("local", num_cpus=2, **store)
print(told.address_info["gcs_address"], flush=True)
sys.stdin.read()
"""


@pytest.fixture(scope="session")
def modules(tmp_path_factory):
    """A folder from which the workers of `cluster` import."""
    return tmp_path_factory.mktemp("modules")


@pytest.fixture(scope="session")
def cluster(modules):
    """The address of a Ray with two cores, which every test joins and leaves; it asks for a token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(16))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        pytest.importorskip("ray", reason="the extra `ray` is not installed")
        told = {**os.environ, "PYTHONPATH": f"{modules}:{ROOT}", "OMP_NUM_THREADS": "1"}
        with subprocess.Popen(
            [sys.executable, "-c", CLUSTER], env=told, cwd=modules, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            yield process.stdout.readline().strip()
            process.stdin.close()


@pytest.fixture
def snapshot():
    """Folder -> {relative path: sha256}: equal snapshots are byte-identical folders."""

    def take(folder):
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {
            path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
        }

    return take


@pytest.fixture
def encoded():
    """(format, mode, size, **save options) -> bytes of an image with a slope in it."""

    def make(format="PNG", mode="RGB", size=(20, 10), **options):
        image = Image.linear_gradient("L").resize(size)
        if mode == "I;16":
            image = image.convert("I").point(lambda level: level * 257)
        image = image.convert(mode)
        file = io.BytesIO()
        image.save(file, format, **options)
        return file.getvalue()

    return make


@pytest.fixture
def shard(monkeypatch, capsys):
    """python -m ingest.shard in this process: arguments -> (exit code, what it said)."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["ingest.shard", *map(str, arguments)])
        code = progress.run(main)
        said = capsys.readouterr()
        return code, said.out + said.err

    return call


@pytest.fixture
def words(tmp_path, encoded):
    """A raw folder of 23 word images with a tsv list; row 7 is broken, row 11 is missing."""
    root = tmp_path / "raw"
    root.mkdir()
    lines = []
    for row in range(23):
        data = encoded("JPEG", size=(20 + row, 12))
        (root / f"{row}.jpg").write_bytes(data[:40] if row == 7 else data)
        lines.append(f"{row}.jpg\tword {row}")
    (root / "11.jpg").unlink()
    (root / "labels.tsv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def command(request):
    """command(kind, out, *more, limit=): a started ingest; limit = (resource, bytes) of all its processes."""

    def start(kind, out, *more, limit=None):
        told = ["executor=ray", f"address={request.getfixturevalue('cluster')}"] if kind == "ray" else []
        return subprocess.Popen(
            [sys.executable, "-m", "ingest.shard", *SET, "workers=2", f"out={out}", *told, *more],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            preexec_fn=(lambda: resource.setrlimit(limit[0], (limit[1],) * 2)) if limit else None,
        )  # fmt: skip

    return start


@pytest.fixture
def whole(command, tmp_path, snapshot):
    """The bytes of a run that nothing disturbed."""
    process = command("local", tmp_path / "whole")
    assert process.wait() == 0, process.stdout.read()
    process.stdout.close()
    return snapshot(tmp_path / "whole")
