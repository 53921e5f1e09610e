"""Reads images with a checkpoint: files, folders of images, or a split of shards; prints, or writes csv, json
or jsonl. Without a model folder, the recogniser that comes with the package reads.

    python -m train.predict images/*.jpg
    python -m train.predict runs/first/best images/*.jpg
    python -m train.predict models/crnn_small crops/ out=words.csv
    python -m train.predict models/crnn_small data/own/test limit=8 json=true
    python -m train.predict models/crnn_small crops/ decoder=lexicon decoder.words=words.txt

A file that is not a readable image becomes a row with an error, never a stop.
"""

import csv
import io
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from shards import config, pack, storage
from shards.engines.plain import decode
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.pictures import SUFFIXES, ordinary, published
from shards.progress import Reporter, run
from shards.read import Shards
from shards.typed import check_ranges
from train import modelfolder
from train.judging import device

PRETRAINED = Path(__file__).resolve().parent / "pretrained" / "words"  # reads when no model is given
COLUMNS = ["image", "text", "score", "error"]


@dataclass
class Settings:
    """What is read, and where the answers go."""

    inputs: list[str] = field(
        default_factory=list, metadata={"positional": True}
    )  # a model folder or nothing, then images or folders
    out: str = ""  # a .csv, .json or .jsonl file; empty = print
    limit: int = 0  # read at most so many images, 0 = all
    batch: int = 64  # images at a time
    device: str = "cpu"  # cpu, or cuda:0
    decoder: config.Choice | None = field(
        default=None, metadata={"seam": "train.decoders", "bare": "name"}
    )  # how the answers are read; none = as the model folder says
    json: bool = False  # print the rows as JSON on the last line

    def __post_init__(self) -> None:
        check_ranges(self, "", batch=(1, math.inf), limit=(0, math.inf))


@dataclass(frozen=True, slots=True)
class Reading:
    """One image's answer; error is empty where it could be read. characters: how sure each of them is."""

    image: str
    text: str
    score: float
    error: str = ""
    characters: tuple[float, ...] = ()
    certified: bool = False  # the decoder proved it the best reading


class Reader:
    """A loaded checkpoint that reads encoded images."""

    def __init__(
        self,
        model: str | Path | modelfolder.Loaded,
        device: str = "cpu",
        decoder: config.Choice | None = None,
    ) -> None:
        given = isinstance(model, modelfolder.Loaded)
        self.loaded = model if given else modelfolder.load(model, device, decoder)
        self.device = device

    def read(self, images: Sequence[bytes | Exception], names: Sequence[str] | None = None) -> list[Reading]:
        """One Reading per image, in order; an exception in an image's place says why there is none."""
        spec, names = self.loaded.task.image, names or [str(i) for i in range(len(images))]
        canvases, spans, errors = [], [], {}
        for place, data in enumerate(images):
            try:
                if isinstance(data, Exception):
                    raise data
                picture = _picture(data, spec)
                canvases.append(spec.canvas(picture))
                spans.append(spec.placement(*picture.size)[2])
            except (BadData, ValueError, OSError) as error:
                errors[place] = str(error)
        words = iter(self._words(canvases, spans))
        out = []
        for place, name in enumerate(names):
            if place in errors:
                out.append(Reading(name, "", 0.0, errors[place]))
            else:
                word = next(words)
                out.append(
                    Reading(
                        name, word.text or "", float(word.score or 0.0), "", word.characters, word.certified
                    )
                )
        return out

    def _words(self, canvases: list[np.ndarray], spans: list[int]) -> list:
        if not canvases:
            return []
        spec = self.loaded.task.image
        pixels = torch.from_numpy(np.stack(canvases)).to(self.device).float() / 255
        with torch.inference_mode():
            output = self.loaded.model(
                ((pixels - spec.mean) / spec.std).contiguous(memory_format=torch.channels_last),
                torch.tensor(spans),
            )
        return [words[0] for words in self.loaded.task.decode(output)]


def _picture(data: bytes, spec: ImageSpec) -> Image.Image:
    """The picture as shards would hold it; an ordinary image is decoded once."""
    if ordinary(data):
        with suppress(BadData):  # `published` says it better
            return decode(data, spec)
    return decode(published(data).image, spec)


Encoded = tuple[str, Callable[[], bytes]]  # a name, and how to get the bytes


def images(inputs: Sequence[str]) -> Iterator[Encoded]:
    """The images of files, folders and splits of shards; a path that does not exist is a BadData."""
    paths = [storage.place(given) for given in inputs]
    for missing in (path for path in paths if not path.exists()):
        raise BadData(f"{missing}: no such file or folder")  # before anything is read
    for given in paths:
        if (given / "manifest.json").exists():
            shards = Shards([given.parent], given.name)
            for position, uid in enumerate(shards.uids):
                yield f"{given}/{pack.key_of(int(uid))}", partial(shards.image, position)
        elif given.is_dir():
            inside = sorted(p for p in given.rglob("*") if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise BadData(f"{given}: no image in this folder")
            yield from ((str(path), path.read_bytes) for path in inside)
        else:
            yield str(given), given.read_bytes


def readings(reader: Reader, encoded: Iterator[Encoded], batch: int) -> Iterator[Reading]:
    """Readings of images, a batch at a time."""
    while some := list(islice(encoded, batch)):
        yield from reader.read([_got(get) for _, get in some], [name for name, _ in some])


def _got(get: Callable[[], bytes]) -> bytes | Exception:
    try:
        return get()
    except (BadData, OSError) as error:
        return error


def written(rows: list[Reading], suffix: str) -> str:
    """The rows as the text of a .csv, .json or .jsonl file; a .csv has no place for the characters."""
    plain = [asdict(row) for row in rows]
    if suffix == ".csv":
        file = io.StringIO()
        writer = csv.DictWriter(file, COLUMNS, "", "ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(plain)
        return file.getvalue()
    if suffix == ".jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in plain)
    return json.dumps(plain, ensure_ascii=False, indent=1) + "\n"


def _sorted(inputs: list[str]) -> tuple[str, list[str]]:
    """(model folder, images): the first path is the model where it is a model or a run folder."""
    first = Path(inputs[0]) if inputs else PRETRAINED
    chosen = any((first / name).exists() for name in ("config.json", "best", "status.json"))
    model, images = (inputs[0], inputs[1:]) if inputs and chosen else (str(PRETRAINED), inputs)
    if not images:
        raise BadSettings("at least one image is needed: train.predict [MODEL] IMAGE...")
    return model, images


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "predict", argv)
    model, inputs = _sorted(settings.inputs)
    suffix = Path(settings.out).suffix if settings.out else ".csv"
    if suffix not in (".csv", ".json", ".jsonl"):
        raise BadSettings(f"out={settings.out}: no format {suffix!r} (there are: .csv, .json, .jsonl)")
    found = islice(images(inputs), settings.limit or None)
    rows = list(
        readings(Reader(model, str(device(settings.device)), settings.decoder), found, settings.batch)
    )
    report = Reporter("train.predict", settings.json)
    if settings.out:
        Path(settings.out).parent.mkdir(parents=True, exist_ok=True)
        Path(settings.out).write_text(written(rows, suffix), encoding="utf-8")
        report.say(f"{len(rows)} rows in {settings.out}")
    else:
        cells = [[getattr(row, column) for column in COLUMNS] for row in rows]
        report.table(f"read by {model}", COLUMNS, cells)
    report.done(readings=[asdict(row) for row in rows], errors=sum(bool(row.error) for row in rows))


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
