"""Writes a model in the formats that devices run, and lets none pass that answers otherwise.

    python -m train.export checkpoint=runs/first/best data.root=data/own to=onnx
    python -m train.export checkpoint=runs/first/best data.root=data/own to=onnx,torchscript,openvino out=edge
    python -m train.predict edge/model.onnx photos/

Charset, image spec and decoder travel in the file: it alone is a model for predict and evaluation. Before it
is kept, real samples go through checkpoint and file, each with its own idea of an image; where they answer
otherwise the export fails with code 4 and shows the worst.
"""

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch

from shards import config, loader
from shards.errors import BadSettings, GateFailed
from shards.lookup import find, members, unknown
from shards.progress import Reporter, run
from shards.read import Shards
from train import agreement, exported, modelfolder
from train.formats import Graph

LEAST = 256  # samples that are compared


@dataclass
class Data(loader.Where):
    """What checkpoint and file are compared on."""

    split: str = "val"  # the split that is read


@dataclass
class Settings:
    """What is exported, and to what."""

    checkpoint: str = ""  # a model folder
    to: list[str] = field(default_factory=lambda: ["onnx"])  # formats
    out: str = ""  # a folder for the files; default: export beside the model folder
    data: Data = field(default_factory=Data)
    samples: int = LEAST  # that are compared, at least 256 or all there are
    json: bool = False  # print the result as JSON on the last line

    def __post_init__(self) -> None:
        if self.samples < LEAST:
            raise BadSettings(f"samples={self.samples}: a gate of less than {LEAST} proves little")
        for name in self.to:
            if name not in members(exported.SEAM):
                raise BadSettings(unknown("to", name, members(exported.SEAM)))


def write(loaded: modelfolder.Loaded, name: str, path: Path) -> None:
    """One file; a model that only answers, and has no graph of its own, is a BadSettings."""
    model, image = loaded.model, loaded.task.image
    if not getattr(model, "trains", True):
        raise BadSettings("this model is a file of another format already: there is no graph to write")
    answers = exported.meanings(model, image)
    told = modelfolder.text_of({**loaded.config, "answers": answers})
    images = torch.rand(2, image.depth, image.height, image.edges[0]) * 2 - 1
    steps = [torch.full((2,), answers["steps"][image.edges[0]])] if answers["steps"] else []
    find(exported.SEAM, name).write(Graph(model), (images, *steps), path, told)


def passed(
    settings: Settings, loaded: modelfolder.Loaded, name: str, out: Path, shards: Shards
) -> tuple[Path | None, agreement.Agreement]:
    """The file in `out` and how it answered; none where that is not as the checkpoint does."""
    suffixes = find(exported.SEAM, name).SUFFIXES
    with tempfile.TemporaryDirectory(dir=out, prefix=".") as place:
        made = Path(place) / f"model{suffixes[0]}"
        write(loaded, name, made)
        found = agreement.compare(settings.checkpoint, made, shards, settings.samples)
        if not found.equal:
            return None, found
        for suffix in reversed(suffixes):
            made.with_suffix(suffix).replace(out / f"model{suffix}")
    return out / f"model{suffixes[0]}", found


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "export", argv)
    if not settings.checkpoint:
        raise BadSettings("checkpoint= is required: a model folder, for example runs/first/best")
    report = Reporter("train.export", settings.json)
    loaded = modelfolder.load(settings.checkpoint)
    shards = Shards(settings.data.root, settings.data.split, fetched=settings.data.room)
    out = Path(settings.out or Path(settings.checkpoint).parent / "export")
    report.header(
        checkpoint=settings.checkpoint, data=shards.digest[:12], split=settings.data.split, out=str(out)
    )
    out.mkdir(parents=True, exist_ok=True)
    rows, result, failed = [], {}, []
    for name in settings.to:
        kept, found = passed(settings, loaded, name, out, shards)
        rows.append([name, str(kept or "not kept"), f"{exported.size(kept) / 1e6:.2f}" if kept else ""])
        rows[-1] += found.cells()
        result[name] = {"file": str(kept), "bytes": exported.size(kept), **found.told()} if kept else {}
        failed += [] if kept else [name]
        for line in found.worst:
            report.say(f"{name}: {line}")
    report.table("exported", ["format", "file", "MB", *agreement.COLUMNS], rows)
    if failed:
        raise GateFailed(
            f"{', '.join(failed)}: answers otherwise than {settings.checkpoint}, so it was not kept"
        )
    report.done(f"python -m train.predict {rows[0][1]} IMAGES", exported=result)


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
