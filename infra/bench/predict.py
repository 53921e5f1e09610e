"""What reading a word costs on one core, from the bytes of a picture to its text: formats, precisions, peers.

    python infra/bench/predict.py edge data/iiit5k
    python infra/bench/predict.py edge data/iiit5k words=100 rounds=9

`edge` is a folder of train.export, whose files are read by train.predict's reader, ONNX files also by the
program that travels in packages (train/edge/read.py). Readers take turns on the same crops, one crop at a
time; ratios are those within the rounds. RapidOCR's recogniser and Tesseract read the same crops where they
are installed. Aims: int8 of a CRNN of 922,629 parameters at most 1.3 ms a word, and at least twice as fast as
float32 in ONNX Runtime.
"""

import importlib.util
import io
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rounds import machine, table, take_turns

from shards import progress
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.read import Shards
from train import exported, modelfolder, onnxfile
from train.charset import Charset
from train.edge import read
from train.protocols import Protocol
from train.reader import Reader

Reading = Callable[[bytes], str]
Opening = Callable[[], tuple[Reading, float] | None]  # a reader and the MB of its model, if it is there
COLUMNS = (
    "",
    "right, %",
    "p50 ms",
    "p95 ms",
    "ms of processor time",
    "times as fast as the base",
    "MB",
    "peak MB more",
)
BASE = "model.onnx, read.py"  # what ratios are of, where it is there


def ours(folder: Path) -> dict[str, Opening]:
    """What opens a reader of each file."""
    found: dict[str, Opening] = {}
    for path in sorted(path for path in folder.iterdir() if path.suffix in exported.suffixes()):
        size = exported.size(path) / 1e6
        found[path.name] = partial(_opened, lambda path: _word(Reader(path)), path, size)
        if path.suffix == ".onnx":
            found[f"{path.name}, read.py"] = partial(
                _opened, lambda path: _alone(read.Reader(path)), path, size
            )
    return found


def _opened(how: Callable[[Path], Reading], path: Path, size: float) -> tuple[Reading, float]:
    return how(path), size


def _word(reader: Reader) -> Reading:
    return lambda data: reader.read([data])[0].text


def _alone(reader: read.Reader) -> Reading:
    return lambda data: reader.text(reader.opened(io.BytesIO(data)))


def rapid() -> tuple[Reading, float] | None:
    """RapidOCR's recogniser, its file read by this project's reader; None where it is not installed."""
    found = importlib.util.find_spec("rapidocr_onnxruntime")
    files = [
        path
        for place in (found and found.submodule_search_locations) or ()
        for path in Path(place).rglob("*rec*.onnx")
    ]
    if not files:
        return None
    image = ImageSpec(height=48, width=320, channels="bgr", fit="keep")
    model, task, _ = onnxfile.read(onnxfile.Settings(weights=str(files[0]), image=image, space=True))
    size = files[0].stat().st_size
    return _word(Reader(modelfolder.Loaded(model, task, {}, size))), size / 1e6


def tesseract() -> tuple[Reading, float] | None:
    """Tesseract's command, a process for each word (psm 8); None where it is not installed."""
    if shutil.which("tesseract") is None:
        return None
    command = ["tesseract", "-", "-", "--psm", "8"]
    return lambda data: subprocess.run(command, input=data, capture_output=True).stdout.decode().strip(), 0.0


def timed(reading: Reading, images: list[bytes], spent: list[float]) -> int:
    """A pass over the crops; milliseconds of each are added to `spent`."""
    for data in images:
        begun = time.perf_counter()
        reading(data)
        spent.append(1000 * (time.perf_counter() - begun))
    return len(images)


def main(argv: list[str]) -> None:
    """One table."""
    told = dict(one.split("=", 1) for one in argv if "=" in one)
    places = [one for one in argv if "=" not in one]
    if len(places) != 2 or set(told) - {"words", "rounds"}:
        raise BadSettings("python infra/bench/predict.py FOLDER_OF_TRAIN_EXPORT DATA [words=100] [rounds=9]")
    torch.set_num_threads(1)
    shards, protocol = Shards([places[1]], "test"), Protocol("36", Charset.named("36"))
    images = [shards.image(place) for place in range(min(int(told.get("words", 100)), len(shards)))]
    readers, peak = {}, {}
    for name, opened in {**ours(Path(places[0])), "RapidOCR": rapid, "Tesseract": tesseract}.items():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if (one := opened()) is None:
            print(f"{name}: not installed\n")
            continue
        one[0](images[0])
        readers[name], peak[name] = one, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    spent: dict[str, list[float]] = {name: [] for name in readers}
    passes = {n: (lambda r=r, n=n: timed(r, images, spent[n])) for n, (r, _) in readers.items()}
    found = take_turns(passes, int(told.get("rounds", 9)))
    base, rows = BASE if BASE in readers else next(iter(readers)), []
    for name, (reading, size) in readers.items():
        right = [
            protocol.reading(reading(shards.image(i))) == protocol.truth(shards.text(i) or "")
            for i in range(len(shards))
        ]
        low, high = np.percentile(spent[name][len(images) :], (50, 95))
        rows.append((
            name, f"{100 * np.mean(right):.1f}", f"{low:.2f}", f"{high:.2f}",
            f"{1000 / found.speed(name, 'cpu'):.2f}", found.ratio(name, base, "cpu"), f"{size:.2f}",
            f"{peak[name]:.0f}",
        ))  # fmt: skip
    print(f"### Reading words\n\n{machine(1)}\n")
    table(f"{len(images)} crops of {len(shards)}; base: {base}", COLUMNS, rows)


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__))
