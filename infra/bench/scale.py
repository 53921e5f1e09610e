"""Whether memory grows with the set: the first shard of a list of nine million rows, epochs over its shards.

    python infra/bench/scale.py
    python infra/bench/scale.py rows=200000 shards=20

A list as MJSynth has it, whose first images alone exist, is sharded until the first shard stands. Then as
many samples as such a set has are planned, in batches of 512, for two epochs. Every figure is of one process:
seconds, and the most memory that it held, mapped files included.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rounds import at_least, machine, table

from shards import columns, config, manifest, pack, progress
from shards.manifest import Manifest, ShardInfo

PLANS = {
    "all": "Plan(uids, 512)",
    "window of 16 shards": "Plan(uids, 512, window=16, shard=found.shard_of)",
    "five buckets": "Plan(uids, 512, bucket=uids % 5)",
    "mixture of two": "Mixture(uids, uids % 2, [1, 3], 512)",
}
PLANNING = """
import json, sys, time
from shards.mixture import Mixture
from shards.plan import Plan
from shards.read import Shards

begun = time.monotonic()
found = Shards([sys.argv[1]], "train")
uids = found.uids
opened = time.monotonic() - begun
plan = eval(sys.argv[2])
for epoch in range(2):
    for step in (0, plan.steps - 1):
        plan.part(epoch, step, rank=7, world=8)
with open("/proc/self/status") as file:
    (peak,) = (line.split()[1] for line in file if line.startswith("VmHWM"))
print(json.dumps([opened, time.monotonic() - begun - opened, int(peak) / 1024]))
"""


@dataclass
class Settings:
    """How large the set is."""

    rows: int = 9_000_000  # of the list that is sharded
    shards: int = 1100  # of the set that is planned, of 8,192 samples each
    workers: int = 2  # of ingest

    def __post_init__(self) -> None:
        at_least(self, rows=8192, shards=1, workers=2)


def raw(folder: Path, rows: int) -> None:
    """A list as that of MJSynth; the images of the first shard exist."""
    import io

    from PIL import Image

    picture = io.BytesIO()
    Image.linear_gradient("L").resize((100, 32)).save(picture, "JPEG")
    (folder / "lexicon.txt").write_text("".join(f"word{n}\n" for n in range(90_000)))
    with open(folder / "annotation_train.txt", "w") as file:
        for row in range(rows):
            word = row % 90_000
            file.write(f"./{row // 512}/{row % 7}/{row}_word{word}_{word}.jpg {word}\n")
    for row in range(manifest.ROWS_PER_SHARD):
        word = row % 90_000
        path = folder / f"{row // 512}/{row % 7}/{row}_word{word}_{word}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.getvalue())


def first_shard(folder: Path, settings: Settings) -> tuple[float, float]:
    """(seconds until the first shard stands, MiB that the driver held at most until then)."""
    out, begun = folder / "out", time.monotonic()
    command = ["source=mjsynth", f"root={folder}", f"out={out}", f"workers={settings.workers}"]
    with subprocess.Popen([sys.executable, "-m", "ingest.shard", *command], stdout=sys.stderr) as driver:
        while not list(out.glob("train/0*.json")):
            if driver.poll() is not None:
                raise RuntimeError("the ingest ended without a shard")
            time.sleep(0.02)
        seconds = time.monotonic() - begun
        status = Path(f"/proc/{driver.pid}/status").read_text().splitlines()
        driver.kill()
    return seconds, int(next(line.split()[1] for line in status if line.startswith("VmHWM"))) / 1024


def planned(folder: Path, shards: int) -> None:
    """A split of made-up columns; its tars are empty."""
    rows, infos, split = manifest.ROWS_PER_SHARD, [], folder / "train"
    split.mkdir(parents=True)
    made = np.zeros(rows, columns.DTYPE)
    made["label_offset"], made["label_size"] = np.arange(rows) * 8, 8
    for number in range(shards):
        made["row"] = np.arange(number * rows, (number + 1) * rows)
        files = {suffix: split / f"{pack.stem_of(number)}.{suffix}" for suffix in pack.FILES}
        for file in files.values():
            file.touch()
        columns.save(files["columns.npy"], made)
        files["labels"].write_bytes(b"somewhat" * rows)
        sizes = {suffix: file.stat().st_size for suffix, file in files.items()}
        sums = {suffix: pack.sha256_of(file) for suffix, file in files.items()}
        infos.append(ShardInfo(pack.stem_of(number), number * rows, (number + 1) * rows, rows, sizes, sums))
    manifest.save(split, Manifest("made", "train", "made", "none", {}, shards * rows, rows, tuple(infos)))


def planning(folder: Path, expression: str) -> tuple[float, float, float]:
    """(seconds to open the set, seconds to plan two epochs, MiB at most)."""
    command = [sys.executable, "-c", PLANNING, str(folder), expression]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    opened, seconds, peak = json.loads(done.stdout)
    return opened, seconds, peak


def main(argv: list[str]) -> None:
    """Two tables."""
    settings = config.read(Settings, "bench", argv)
    print(f"### Scale\n\n{machine(1)}\n")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "raw"
        folder.mkdir()
        raw(folder, settings.rows)
        seconds, peak = first_shard(folder, settings)
        rows = [("the driver, until the first shard stands (aim 60 s, 1,024 MiB)", f"{seconds:.1f}", peak)]
        table(f"A list of {settings.rows:,} rows", ("", "s", "MiB"), rows)
        planned(Path(place) / "set", settings.shards)
        found = []
        for name, expression in PLANS.items():
            opened, seconds, peak = planning(Path(place) / "set", expression)
            found.append((name, f"{opened:.1f}", f"{seconds:.1f}", peak))
    total = settings.shards * manifest.ROWS_PER_SHARD
    heads = ("", "opening, s", "two epochs, s", "MiB (aim 1,024)")
    table(f"Planning {total:,} samples in {settings.shards:,} shards", heads, found)


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
