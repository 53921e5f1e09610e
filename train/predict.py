"""Reads images with a checkpoint: files, folders of images, or a split of shards; prints, or writes csv,
json, jsonl, or txt. Without a model folder, the recogniser that comes with the package reads.

    python -m train.predict images/*.jpg
    python -m train.predict models/crnn_small crops/ out=words.csv
    python -m train.predict models/yolo photos/ recogniser=words out=words.json drawn=drawn/
    python -m train.predict models/yolo photos/ tta=true
    python -m train.predict models/crnn_small photos/ boxes=words.json out=read.json
    python -m train.predict models/yolo photos/ recogniser=words index=photos.db
    python -m train.predict search="cafe" index=photos.db
    python -m train.predict models/crnn_small crops/ decoder=lexicon decoder.words=words.txt

A detector finds words in photographs, and recogniser= reads them; boxes= names the places instead. A txt is
a list of labels that `ingest.shard source=paddle_labels` takes: so a model labels photographs for another.
A file that is not a readable image becomes a row with an error, never a stop.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path

from shards import config, pack, storage
from shards.errors import BadData, BadSettings
from shards.pictures import SUFFIXES
from shards.progress import Reporter, run
from shards.read import Shards
from shards.typed import check_ranges
from train import answersheet, exported, photoindex, scales
from train.judging import device
from train.reader import Answer, Given, Reader, Reading, readings, together

PRETRAINED = Path(__file__).resolve().parent / "pretrained" / "words"  # reads when no model is given
PACKAGED = "words"  # its name as recogniser=


@dataclass
class Settings:
    """What is read, and where the answers go."""

    inputs: list[str] = field(
        default_factory=list, metadata={"positional": True}
    )  # a model folder or nothing, then images or folders
    recogniser: str = ""  # a model folder that reads what a detector found; words: that of the package
    boxes: str = ""  # a json file of words with polygons, as out= writes it: these are read, none looked for
    out: str = ""  # a .csv, .json, .jsonl or .txt file; empty = print
    drawn: str = ""  # a folder for the pictures with their words drawn
    index: str = ""  # a file that remembers which words stand in which image, for search=
    search: str = ""  # words to look for in index=, of which one letter may be wrong
    limit: int = 0  # read at most so many images, 0 = all
    batch: int = 64  # images at a time
    device: str = "cpu"  # cpu, or cuda:0
    tta: bool = False  # a detector looks at each image at several scales
    decoder: config.Choice | None = field(
        default=None, metadata={"seam": "train.decoders", "bare": "name"}
    )  # how the answers are read; none = as the model folder says
    json: bool = False  # print the rows as JSON on the last line

    def __post_init__(self) -> None:
        check_ranges(self, "", batch=(1, math.inf), limit=(0, math.inf))
        if self.search and not self.index:
            raise BadSettings(f"search={self.search}: index= is required, the file to look into")
        if self.boxes and self.tta:
            raise BadSettings("boxes= says where words are; tta is of models that find them")
        if self.boxes and self.recogniser:
            raise BadSettings("boxes= is read by the model given first; recogniser= is of detectors")


Encoded = tuple[str, Callable[[], bytes]]  # a name, and how to get the bytes
Answers = Callable[[Sequence[str], Sequence[Given]], list[Answer]]  # of a batch of images with their names


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


def answers_of(settings: Settings, model: str) -> Answers:
    """What answers images: a recogniser, a detector, a detector with a recogniser, or one at given places."""
    place = str(device(settings.device))
    first = Reader(model, place, None if settings.recogniser else settings.decoder)
    if settings.tta:
        first = Reader(scales.several(first.loaded), place)
    if settings.boxes:
        known = answersheet.places(Path(settings.boxes))
        return lambda names, given: [
            first.inside(image, known.get(name, known.get(Path(name).name, ())))
            for name, image in zip(names, given, strict=True)
        ]
    if not settings.recogniser:
        return lambda names, given: first.answers(given)
    path = str(PRETRAINED) if settings.recogniser == PACKAGED else settings.recogniser
    second = Reader(path, place, settings.decoder)
    if not first.loaded.task.finds or second.loaded.task.finds:
        raise BadSettings(f"recogniser={settings.recogniser}: {model} must find words, and it must read")
    return lambda names, given: together(first, second, given)


def answered(answers: Answers, encoded: Iterator[Encoded], batch: int) -> Iterator[tuple[str, Given, Answer]]:
    """Images with their names and answers, a batch at a time."""
    while some := list(islice(encoded, batch)):
        names, given = [name for name, _ in some], [_got(get) for _, get in some]
        yield from zip(names, given, answers(names, given), strict=True)


def _got(get: Callable[[], bytes]) -> Given:
    try:
        return get()
    except (BadData, OSError) as error:
        return error


def _sorted(inputs: list[str]) -> tuple[str, list[str]]:
    """(model folder, images): the first path is the model where it is a model or a run folder."""
    first = Path(inputs[0]) if inputs else PRETRAINED
    chosen = any((first / name).exists() for name in ("config.json", "best", "status.json"))
    chosen = chosen or first.suffix in exported.suffixes()
    model, images = (inputs[0], inputs[1:]) if inputs and chosen else (str(PRETRAINED), inputs)
    if not images:
        raise BadSettings("at least one image is needed: train.predict [MODEL] IMAGE...")
    return model, images


def _read(settings: Settings, model: str, inputs: list[str]) -> tuple[list[Reading], int]:
    """The rows of all images, drawn and remembered as asked; and how many images there were."""
    rows, count = [], 0
    found = islice(images(inputs), settings.limit or None)
    with photoindex.opened(settings.index) as index:
        for name, given, answer in answered(answers_of(settings, model), found, settings.batch):
            own = readings([name], [answer])
            rows += own
            count += 1
            index.remember(name, own)
            if settings.drawn:
                answersheet.draw(Path(settings.drawn), name, given, answer)
    return rows, count


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "predict", argv)
    report = Reporter("train.predict", settings.json)
    if settings.search:
        rows = photoindex.search(Path(settings.index), settings.search)
        columns = ("image", "text", "score", "polygon")
        cells = [[getattr(row, column) for column in columns] for row in rows]
        report.table(f"{settings.search} in {settings.index}", columns, cells)
        report.done(readings=[asdict(row) for row in rows])
        return
    model, inputs = _sorted(settings.inputs)
    suffix = Path(settings.out).suffix if settings.out else ".csv"
    answersheet.check(settings.out, suffix)
    rows, count = _read(settings, model, inputs)
    if settings.out:
        Path(settings.out).parent.mkdir(parents=True, exist_ok=True)
        Path(settings.out).write_text(answersheet.written(rows, suffix), encoding="utf-8")
        report.say(f"{len(rows)} rows of {count} images in {settings.out}")
    else:
        cells = [[getattr(row, column) for column in answersheet.COLUMNS] for row in rows]
        report.table(f"read by {model}", answersheet.COLUMNS, cells)
    report.done(readings=[asdict(row) for row in rows], errors=sum(bool(row.error) for row in rows))


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
