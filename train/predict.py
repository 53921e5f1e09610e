"""Reads images with a model: files, folders, globs, splits of shards, or what comes on standard input.

    python -m train.predict images/*.jpg
    python -m train.predict models/crnn_small "crops/**/*.png" out=words.csv
    find photos -name "*.jpg" | python -m train.predict models/yolo - recogniser=words out=jsonl | jq .text

MODEL, the first path, is a model folder or a file of train.export; without one, the recogniser that comes
with the package reads. IMAGEs may be addresses (s3://...); `-` is standard input: the bytes of an image, or
paths of files on this machine, one a line. out=csv, json or jsonl alone prints such rows and nothing else. A
file that is not a readable image becomes a row with an error, never a stop.

What a recogniser tells:
    python -m train.predict models/crnn_small crops/ lexicon=words.txt
    python -m train.predict models/crnn_small crops/ topk=5 out=words.jsonl
    python -m train.predict models/crnn_small crops/ raw=true
topk= adds the best texts of each word and their probabilities, found by decoder=beam where neither the model
nor decoder= names one that knows several.
raw=true adds the best class of every frame, a symbol each, the blank as `-`, and the span of each character:
from which pixel to which of the image its frames reach, or of the upright crop of a word that was found.

A detector finds words in photographs, and recogniser= reads them; boxes= names the places instead. A txt is
a list of labels that `ingest.shard source=paddle_labels` takes: so a model labels photographs for another.
It names them as they were given: in their folder, `.` and out=labels.txt make a list for root=. A detector
alone gives it places with empty texts; an image whose name holds a tab or a line end is an error.
    python -m train.predict models/yolo photos/ recogniser=words out=words.json drawn=drawn/
    python -m train.predict models/yolo photos/ tta=true
    python -m train.predict models/crnn_small photos/ boxes=words.json out=read.json
    python -m train.predict models/yolo photos/ recogniser=words index=photos.db
    python -m train.predict search="cafe" index=photos.db
"""

import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from shards import config
from shards.errors import BadData, BadSettings
from shards.pictures import SUFFIXES
from shards.progress import Reporter, run, tidy
from shards.typed import check_ranges
from train import answersheet, decoders, exported, inputs, photoindex, pictured, scales
from train.answering import Answering, Answers, answered, inside
from train.answersheet import Shown
from train.judging import device
from train.reader import PRETRAINED, Detailed, Reader, Reading, readings, together

PACKAGED = "words"  # the packaged recogniser's name as recogniser=
SEARCHED = ("search", "index", "out", "json")  # what search= takes
UNMET = "boxes={0.boxes}: none of the images that could be read is named there, by its path or its name alone"


@dataclass
class Settings:
    """What is read, and where the answers go."""

    inputs: list[str] = field(
        default_factory=list, metadata={"positional": True}
    )  # a model or nothing, then images, folders, globs, splits of shards, or - for standard input
    recogniser: str = ""  # a model folder that reads what a detector found; words: that of the package
    boxes: str = ""  # a .json or .jsonl file of words with polygons, as out= writes it: read, none looked for
    out: str = ""  # a .csv, .json, .jsonl or .txt file; csv, json or jsonl alone = printed; empty = a table
    drawn: str = ""  # a folder for pictures with words drawn: photo.jpg; its namesake's is photo-2.jpg
    index: str = ""  # a file that remembers which words stand in which image, for search=
    search: str = ""  # words to look for in index=, of which one letter may be wrong
    limit: int = 0  # read at most so many images, 0 = all
    batch: int = 64  # images at a time
    device: str = "cpu"  # cpu, or cuda:0
    tta: bool = False  # a detector looks at each image at several scales
    decoder: config.Choice | None = field(
        default=None, metadata={"seam": "train.decoders", "bare": "name"}
    )  # how the answers are read; none = as the model folder says
    lexicon: str = ""  # a file of the words there are, short for decoder=lexicon decoder.words=FILE
    topk: int = 0  # so many best texts of each word, with their probabilities
    raw: bool = False  # the best class of every frame, and where each character stands
    json: bool = False  # print the rows as JSON on the last line

    def __post_init__(self) -> None:
        check_ranges(self, "", batch=(1, math.inf), limit=(0, math.inf), topk=(0, 1000))
        if self.search and not self.index:
            raise BadSettings(f"search={self.search}: index= is required, the file to look into")
        if self.search and self._idle:
            raise BadSettings(f"search= reads no image: leave {'=, '.join(self._idle)}= out")
        if self.boxes and self.tta:
            raise BadSettings("boxes= says where words are; tta is of models that find them")
        if self.boxes and self.recogniser:
            raise BadSettings("boxes= is read by the model given first; recogniser= is of detectors")
        if self.lexicon and self.decoder:
            raise BadSettings(f"lexicon= is decoder=lexicon; leave it or decoder={self.decoder.name} out")
        if self.inputs.count(inputs.STDIN) > 1:
            raise BadSettings("- is given twice: standard input can be read once")
        answersheet.form(self.out)
        if self.json and self.printed:
            raise BadSettings(f"json=true and out={self.out} both print the rows; choose one")

    @property
    def _idle(self) -> list[str]:
        """What is given and says nothing to search=."""
        usual, names = Settings(), [known.name for known in fields(self) if known.name not in SEARCHED]
        return [name for name in names if getattr(self, name) != getattr(usual, name)]

    @property
    def printed(self) -> bool:
        """Whether rows are what is printed, and nothing else."""
        return self.out in answersheet.FORMATS

    @property
    def chosen(self) -> dict[str, Any]:
        """How words are read, as `Reader` takes it."""
        words = {"name": "lexicon", "words": self.lexicon}
        decoder = decoders.stored(words) if self.lexicon else self.decoder
        return {"decoder": decoder, "raw": self.raw, "topk": self.topk}


def answers_of(settings: Settings, model: str) -> Answering:
    """What answers images: a recogniser, a detector, a detector with a recogniser, or one at given places."""
    place = str(device(settings.device))
    first = Reader(model, place, **({} if settings.recogniser else settings.chosen))
    if settings.tta:
        first = Reader(scales.several(first.loaded), place)
    if settings.boxes:
        if first.loaded.task.finds:
            raise BadSettings(f"boxes={settings.boxes}: a model that reads is needed, {model} finds")
        known = answersheet.places(Path(settings.boxes))
        return Answering(partial(inside, first, known), True)
    if not settings.recogniser:
        return Answering(lambda names, given: first.answers(given), first.loaded.task.finds)
    path = str(PRETRAINED) if settings.recogniser == PACKAGED else settings.recogniser
    second = Reader(path, place, **settings.chosen)
    if not first.loaded.task.finds or second.loaded.task.finds:
        raise BadSettings(f"recogniser={settings.recogniser}: {model} must find words, and it must read")
    return Answering(lambda names, given: together(first, second, given), True)


def _divided(given: list[str]) -> tuple[str, list[str]]:
    """(model, images): the first path is the model where it is a model or a run folder."""
    first = Path(given[0]) if given else PRETRAINED
    chosen = any(os.path.exists(first / name) for name in ("config.json", "best", "status.json"))
    chosen = chosen or first.suffix in exported.suffixes()
    if not chosen and len(given) > 1 and os.path.isfile(first) and first.suffix.lower() not in SUFFIXES:
        known = ", ".join(sorted(exported.suffixes()))
        raise BadSettings(f"{first}: no image, and no model: that is a folder, or a file of one of {known}")
    model, images = (given[0], given[1:]) if given and chosen else (str(PRETRAINED), given)
    if not images:
        raise BadSettings("at least one image is needed: train.predict [MODEL] IMAGE...")
    return model, images


class Rows:
    """The rows of all images, a batch at a time; each image is drawn and remembered as asked.

    total: how many; count: of images; met: of those, with words; errors: of those that could not be read;
    kept: the rows, where JSON is to hold them all at the end.
    """

    def __init__(
        self, settings: Settings, answers: Answers, images: Sequence[str], pictures: pictured.Pictures
    ) -> None:
        self.settings, self._answers, self._images, self._pictures = settings, answers, images, pictures
        self.kept: list[Reading] = []
        self.total = self.count = self.met = self.errors = 0

    def __iter__(self) -> Iterator[list[Reading]]:
        settings, kind = self.settings, Detailed if self.settings.raw or self.settings.topk else Reading
        found = islice(inputs.images(self._images, settings.drawn), settings.limit or None)
        found = answersheet.listable(found, settings.out)
        with photoindex.opened(settings.index) as index:
            for names, given, told in answered(self._answers, found, settings.batch):
                parts = [readings([name], [answer], kind) for name, answer in zip(names, told, strict=True)]
                for name, image, answer, own in zip(names, given, told, parts, strict=True):
                    index.remember(name, own)
                    self._pictures.draw(name, image, answer)
                yield self._counted(parts)

    def _counted(self, parts: list[list[Reading]]) -> list[Reading]:
        rows = list(chain.from_iterable(parts))
        self.count += len(parts)
        self.met += sum(any(not row.error for row in own) for own in parts)
        self.total += len(rows)
        self.errors += sum(bool(row.error) for row in rows)
        if self.settings.json:
            self.kept += rows
        return rows


def _search(settings: Settings, report: Reporter) -> None:
    rows = photoindex.search(Path(settings.index), settings.search)
    columns = ("image", "text", "score", "polygon")
    cells = [[getattr(row, column) for column in columns] for row in rows]
    report.table(f"{settings.search} in {settings.index}", columns, cells)
    if settings.out:
        answersheet.write([rows], settings.out, Shown(places=True))
    report.done(readings=[asdict(row) for row in rows])


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "predict", argv)
    report = Reporter("train.predict", settings.json, silent=settings.printed)
    if settings.search:
        return _search(settings, report)
    model, images = _divided(settings.inputs)
    answers = answers_of(settings, model)
    shown = Shown(answers.places, settings.raw, settings.topk > 0)
    pictures = pictured.pictures(settings.drawn)
    rows = Rows(settings, answers, images, pictures)
    if settings.out:
        answersheet.write(rows, settings.out, shown)
        report.say(f"{rows.total} rows of {rows.count} images in {settings.out}; errors: {rows.errors}")
    else:
        cells = [shown.cells(row) for row in chain.from_iterable(rows)]
        report.table(f"read by {model}", shown.columns, cells)
    told = {"readings": [shown.plain(row) for row in rows.kept], "errors": rows.errors}
    if settings.boxes:
        report.say(f"{rows.met} of {rows.count} images were read at places of {settings.boxes}")
    if wrong := pictures.wrong or (settings.boxes and not rows.met and UNMET.format(settings)):
        raise report.failed(BadData(wrong), **told)
    report.done(**told)


if __name__ == "__main__":
    tidy()
    sys.exit(run(main, __doc__, Settings))
