"""Writes a model in the formats that devices run, and lets none pass that answers otherwise.

    python -m train.export checkpoint=runs/first/best data.root=data/own to=onnx
    python -m train.export checkpoint=runs/first/best data.root=data/own to=onnx,torchscript,openvino out=edge
    python -m train.export checkpoint=runs/first/best data.root=data/own to=onnx precision=fp32,fp16,int8
    python -m train.export checkpoint=runs/first/best data.root=data/own precision=int8 package=edge.zip
    python -m train.predict edge/model.int8.onnx photos/

Charset, image spec and decoder travel in the file: it alone is a model for predict and evaluation. Before it
is kept, real samples go through checkpoint and file, each with its own idea of an image; where they answer
otherwise the export fails with code 4 and shows the worst. fp16 must pass too; int8 may lose max_drop
points of the task's main figure. Of both, the layers that change answers most stay wide until a file passes.
What a format cannot do is a row that says why; where that is all there was, the code is 2.
"""

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from shards import config, loader
from shards.errors import BadSettings, GateFailed
from shards.lookup import find, members, unknown
from shards.progress import Reporter, run, tidy
from shards.read import Shards
from train import agreement, exported, halved, modelfolder, narrowing, package, quantised, writing

LEAST = 256  # samples that are compared
NARROWERS = {one.name: one for one in (halved.Halver, quantised.Quantiser)}
LOSSY = {name for name, one in NARROWERS.items() if one.lossy}  # precisions that may answer otherwise


@dataclass
class Data(loader.Where):
    """What checkpoint and file are compared on."""

    split: str = "val"  # the split that is read


@dataclass
class Settings:
    """What is exported, and to what."""

    checkpoint: str = ""  # a model folder
    to: list[str] = field(default_factory=lambda: ["onnx"])  # onnx, openvino, paddle, tensorrt, torchscript
    precision: list[str] = field(default_factory=lambda: ["fp32"])  # fp32, fp16, int8
    out: str = ""  # a folder for the files; default: export beside the model folder
    data: Data = field(default_factory=Data)
    samples: int = LEAST  # how many are compared: at least 256, or all there are
    max_drop: float = 0.5  # points of the main figure (word accuracy, H-mean) that int8 may lose
    calibrate: list[str] = field(default_factory=list)  # samples that fp16, int8 are fitted on; or data.root
    calibrate_split: str = "train"  # the split that these are taken from
    calibrate_samples: int = 256  # how many of these are taken
    package: str = ""  # an archive to ship: the narrowest ONNX file, a program that reads with it, checksums
    json: bool = False  # print the result as JSON on the last line

    def __post_init__(self) -> None:
        if self.samples < LEAST:
            raise BadSettings(f"samples={self.samples}: a gate of less than {LEAST} proves little")
        if self.calibrate_samples < 1:
            raise BadSettings(f"calibrate_samples={self.calibrate_samples}: must be at least 1")
        if self.package and Path(self.package).suffix != ".zip":
            raise BadSettings(f"package={self.package}: an archive is written as .zip")
        for key, given in (("to", self.to), ("precision", self.precision)):
            if not given:
                raise BadSettings(f"{key}= is empty: name at least one")
        if self.package and "onnx" not in self.to:
            raise BadSettings(f"package={self.package} holds an ONNX file: to=onnx")
        if not 0 <= self.max_drop <= 100:
            raise BadSettings(f"max_drop={self.max_drop}: points, must be between 0 and 100")
        for key, given, known in (
            ("to", self.to, members(exported.SEAM)),
            ("precision", self.precision, [narrowing.FULL.name, *NARROWERS]),
        ):
            for name in given:
                if name not in known:
                    raise BadSettings(unknown(key, name, known))


@dataclass(frozen=True, slots=True)
class Made:
    """A file (None: not kept, or never written), how it answered, and which layers stayed wide; why: it could
    not be written.
    """

    path: Path | None
    found: agreement.Agreement | None = None
    wide: tuple[str, ...] = ()
    why: str = ""

    @property
    def warning(self) -> str:
        """What the comparison did not prove."""
        silent = self.found is not None and not self.found.words
        return "no word in any answer, so that they are alike proves nothing" if silent else ""

    def cells(self) -> list[str]:
        """Of a table, behind format and precision."""
        if self.found is None:
            return [f"unsupported: {self.why}", *[""] * (1 + len(agreement.COLUMNS))]
        size = f"{exported.size(self.path) / 1e6:.2f}" if self.path else ""
        return [str(self.path or "not kept"), size, *self.found.cells()]

    def told(self) -> dict[str, Any]:
        """The same as JSON."""
        if self.path is None or self.found is None:
            return {"unsupported": self.why} if self.why else {}
        more = {"wide": list(self.wide)} if self.wide else {}
        return {"file": str(self.path), "bytes": exported.size(self.path), **self.found.told(), **more}


class Export:
    """One checkpoint on its way into files of a folder."""

    def __init__(self, settings: Settings, loaded: modelfolder.Loaded, shards: Shards, out: Path) -> None:
        self.settings, self.loaded, self.shards, self.out = settings, loaded, shards, out
        self._narrowers: dict[str, narrowing.Narrower] = {}

    def file(self, name: str, precision: str) -> Made:
        """The file of a format and precision, if it passes."""
        member, image = find(exported.SEAM, name), self.loaded.task.image
        if precision not in member.PRECISIONS:
            return Made(None, why=f"{name} is written in {', '.join(member.PRECISIONS)} alone")
        if why := member.absent(image):
            return Made(None, why=why)
        made, most = Made(None), self.settings.max_drop if precision in LOSSY else None
        for wanted in self._precisions(precision):
            made = self._passed(name, wanted, most)
            if made.path or made.why:
                return made
        for place in self._places(name, precision):
            place.unlink(missing_ok=True)  # that of an earlier export answers as an earlier checkpoint did
        return made

    def _precisions(self, name: str) -> Iterator[narrowing.Precision]:
        """What to try in turn: of narrower numbers, with ever more of the layers that cost most kept wide."""
        if name == narrowing.FULL.name:
            yield narrowing.FULL
            return
        if name not in self._narrowers:
            self._narrowers[name] = writing.narrower(NARROWERS[name], self.loaded, self._calibration)
        yield from self._narrowers[name].precisions()

    def _calibration(self) -> list[bytes]:
        settings = self.settings
        shards = Shards(
            settings.calibrate or settings.data.root, settings.calibrate_split, fetched=settings.data.room
        )
        return [shards.image(place) for place in agreement.chosen(shards, settings.calibrate_samples)]

    def _passed(self, name: str, precision: narrowing.Precision, most: float | None) -> Made:
        """The file in `out` and how it answered; none where it may not be kept."""
        kept = self._places(name, precision.name)
        with tempfile.TemporaryDirectory(dir=self.out, prefix=".") as place:
            made = Path(place) / kept[0].name
            try:
                writing.write(self.loaded, name, made, precision)
            except BadSettings as error:
                return Made(None, why=str(error))
            settings = self.settings
            found = agreement.compare(
                settings.checkpoint, made, self.shards, settings.samples, scored=most is not None
            )
            if not found.holds(most):
                return Made(None, found, precision.wide)
            for one in reversed(kept):
                (Path(place) / one.name).replace(one)
        return Made(kept[0], found, precision.wide)

    def _places(self, name: str, precision: str) -> list[Path]:
        """The files of a format and precision, that which is named first."""
        stem = "model" if precision == narrowing.FULL.name else f"model.{precision}"
        return [self.out / f"{stem}{suffix}" for suffix in find(exported.SEAM, name).SUFFIXES]


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "export", argv)
    if not settings.checkpoint:
        raise BadSettings("checkpoint= is required: a model folder, for example runs/first/best")
    report = Reporter("train.export", settings.json)
    loaded = modelfolder.load(settings.checkpoint)
    shards = Shards(settings.data.root, settings.data.split, fetched=settings.data.room)
    out = Path(settings.out or Path(settings.checkpoint).parent / "export")
    loaded.task.check(shards)
    report.header(
        checkpoint=settings.checkpoint, data=shards.digest[:12], split=settings.data.split, out=str(out)
    )
    if settings.package:
        package.check(loaded)
    out.mkdir(parents=True, exist_ok=True)
    export, made = Export(settings, loaded, shards, out), {}
    for name, precision in product(settings.to, settings.precision):
        one = made[name, precision] = export.file(name, precision)
        if one.warning:
            report.say(f"{name} {precision}: {one.warning}")
        for line in one.found.worst if one.found else ():
            report.say(f"{name} {precision}: {line}")
        if one.wide:
            report.say(f"{name} {precision}: {len(one.wide)} layers stay wide: {', '.join(one.wide)}")
    columns = ["format", "precision", "file", "MB", *agreement.COLUMNS]
    report.table("exported", columns, [[*key, *one.cells()] for key, one in made.items()])
    _check(settings, made)
    if settings.package:
        files = [one.path for (name, _), one in made.items() if name == "onnx" and one.path]
        package.write(Path(settings.package), min(files, key=exported.size), loaded)
        report.say(f"{settings.package}: the narrowest ONNX file, read.py, card, licences, checksums")
    kept = [one.path for one in made.values() if one.path]
    result: dict[str, dict[str, Any]] = {name: {} for name, _ in made}
    for (name, precision), one in made.items():
        result[name][precision] = one.told()
    report.done(f"python -m train.predict {kept[0]} IMAGES", exported=result)


def _check(settings: Settings, made: dict[tuple[str, str], Made]) -> None:
    """GateFailed names what answers otherwise; where nothing could be written, BadSettings says why."""
    failed = [" ".join(key) for key, one in made.items() if one.found and not one.path]
    if failed:
        lossy = any(key.split()[1] in LOSSY for key in failed)
        more = f" (of int8: by more than max_drop={settings.max_drop} points)" if lossy else ""
        raise GateFailed(
            f"{', '.join(failed)}: answers otherwise than {settings.checkpoint}{more}; "
            "not kept, and what an earlier export left in its place is gone"
        )
    needed = {"onnx"} if settings.package else set(settings.to)
    if not any(one.path for (name, _), one in made.items() if name in needed):
        raise BadSettings("; ".join(f"{' '.join(key)}: {one.why}" for key, one in made.items() if one.why))


if __name__ == "__main__":
    tidy()
    sys.exit(run(main, __doc__, Settings))
