"""What a picture costs on one core, from its bytes to its words: formats, precisions, peers.

    python infra/bench/predict.py edge data/iiit5k
    python infra/bench/predict.py edge data/iiit5k pictures=100 rounds=9
    python infra/bench/predict.py edge-of-a-detector data/scenes pictures=10 rounds=5

`edge` is a folder of train.export, whose files train.predict's reader reads, ONNX files of recognisers also
by the program that travels in packages (train/edge/read.py). They take turns on the same pictures, one at a
time; ratios are those within the rounds. RapidOCR's recogniser and Tesseract read the same crops where they
are installed. Aims: int8 of a CRNN of 922,629 parameters at most 1.3 ms a word, and at least twice as fast
as float32 in ONNX Runtime.
"""

import importlib.util
import io
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rounds import machine, table, take_turns

from shards import progress
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.read import Shards
from train import evaluation, exported, headings, modelfolder, onnxfile
from train.charset import Charset
from train.edge import read
from train.protocols import Protocol
from train.reader import Reader

COLUMNS = (
    "", "right, %", "p50 ms", "p95 ms", "ms of processor time", "times as fast as the base", "MB",
    "peak MB more",
)  # fmt: skip
BASES = ("model.onnx, read.py", "model.onnx")  # what ratios are of: the first that is there
PROTOCOL = "36"  # how words are compared


@dataclass(frozen=True, slots=True)
class Contender:
    """What answers a picture's bytes, its model's megabytes, and how much of all it has right, percent."""

    answer: Callable[[bytes], Any]
    mb: float
    right: Callable[[Shards], float]


Opening = Callable[[], Contender | None]  # None: it is not there


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in exported.suffixes())


def _finds(folder: Path) -> bool:
    """Whether a detector lies there."""
    return any(modelfolder.load(path).task.finds for path in _files(folder)[:1])


def ours(folder: Path) -> dict[str, Opening]:
    """What opens each file, and the program that travels with recognisers."""
    found: dict[str, Opening] = {path.name: partial(_file, path) for path in _files(folder)}
    if not _finds(folder):
        found |= {
            f"{name}, read.py": partial(_alone, folder / name) for name in found if name.endswith(".onnx")
        }
    return dict(sorted(found.items()))


def _file(path: Path) -> Contender:
    reader = Reader(path)
    protocol = "native" if reader.loaded.task.finds else PROTOCOL

    def right(shards: Shards) -> float:
        found = evaluation.evaluate(str(path), shards, evaluation.Settings(protocol=protocol)).figures
        heading = headings.main(found)
        return heading.times * found[heading.name]["value"]

    return Contender(lambda data: reader.read([data]), exported.size(path) / 1e6, right)


def _alone(path: Path) -> Contender:
    reader = read.Reader(path)
    return _words(lambda data: reader.text(reader.opened(io.BytesIO(data))), exported.size(path) / 1e6)


def _words(text: Callable[[bytes], str], mb: float) -> Contender:
    """What says the text of a crop."""
    protocol = Protocol(PROTOCOL, Charset.named(PROTOCOL))

    def right(shards: Shards) -> float:
        found = [
            protocol.reading(text(shards.image(i))) == protocol.truth(shards.text(i) or "")
            for i in range(len(shards))
        ]
        return 100 * float(np.mean(found))

    return Contender(text, mb, right)


def rapid() -> Contender | None:
    """RapidOCR's recogniser, its file read by this project's reader."""
    found = importlib.util.find_spec("rapidocr_onnxruntime")
    files = [
        path
        for place in (found and found.submodule_search_locations) or ()
        for path in Path(place).rglob("*rec*.onnx")
    ]
    if not files:
        return None
    image, mb = ImageSpec(height=48, width=320, channels="bgr", fit="keep"), files[0].stat().st_size / 1e6
    model, task, _ = onnxfile.read(onnxfile.Settings(weights=str(files[0]), image=image, space=True))
    reader = Reader(modelfolder.Loaded(model, task, {}, 0))
    return _words(lambda data: reader.read([data])[0].text, mb)


def tesseract() -> Contender | None:
    """Tesseract's command, a process for each word (psm 8)."""
    if shutil.which("tesseract") is None:
        return None
    line = ["tesseract", "-", "-", "--psm", "8"]
    return _words(
        lambda data: subprocess.run(line, input=data, capture_output=True).stdout.decode().strip(), 0.0
    )


def timed(answer: Callable[[bytes], Any], images: list[bytes], spent: list[float]) -> int:
    """A pass over the pictures; milliseconds of each are added to `spent`."""
    for data in images:
        begun = time.perf_counter()
        answer(data)
        spent.append(1000 * (time.perf_counter() - begun))
    return len(images)


def main(argv: list[str]) -> None:
    """One table."""
    told = dict(one.split("=", 1) for one in argv if "=" in one)
    places = [one for one in argv if "=" not in one]
    if len(places) != 2 or set(told) - {"pictures", "rounds"}:
        raise BadSettings(
            "python infra/bench/predict.py FOLDER_OF_TRAIN_EXPORT DATA [pictures=100] [rounds=9]"
        )
    torch.set_num_threads(1)
    shards, openings = Shards([places[1]], "test"), ours(Path(places[0]))
    if not _finds(Path(places[0])):
        openings |= {"RapidOCR": rapid, "Tesseract": tesseract}
    images = [shards.image(place) for place in range(min(int(told.get("pictures", 100)), len(shards)))]
    there, peak = {}, {}
    for name, opened in openings.items():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if (one := opened()) is None:
            continue
        one.answer(images[0])
        there[name], peak[name] = one, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3
    spent: dict[str, list[float]] = {name: [] for name in there}
    passes = {name: partial(timed, one.answer, images, spent[name]) for name, one in there.items()}
    found = take_turns(passes, int(told.get("rounds", 9)))
    base, rows = next(name for name in (*BASES, *there) if name in there), []
    for name, one in there.items():
        low, high = np.percentile(spent[name][len(images) :], (50, 95))
        rows.append((
            name, f"{one.right(shards):.1f}", f"{low:.2f}", f"{high:.2f}",
            f"{1000 / found.speed(name, 'cpu'):.2f}", found.ratio(name, base, "cpu"), f"{one.mb:.2f}",
            f"{peak[name]:.0f}",
        ))  # fmt: skip
    print(f"### Files of devices\n\n{machine(1)}; right: word accuracy by protocol 36, or H-mean\n")
    table(f"{len(images)} pictures of {len(shards)}; base: {base}", COLUMNS, rows)


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__))
