"""How fast words become canvases, and training batches: ours, webdataset, LMDB, and the bare ceiling.

    python infra/bench/loader.py
    python infra/bench/loader.py data=rendered count=20000 rounds=9
    python infra/bench/loader.py data=data/mjsynth threads=2

The ceiling only decodes and resizes bytes that are in memory already, on one core. Ours also maps the tar,
checks every sha256, reads the records, encodes labels, and comes in random order. The peers read in stored
order (webdataset) or at random (LMDB), with Pillow, and give canvases, or float batches with labels, as ours.
"""

import itertools
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import torch
from peers import Lmdb, bare, batches, tar_batches, tar_canvases, tar_files
from rounds import Contenders, at_least, machine, table, take_turns
from samples import sets

from shards import augment, config, lookup, progress
from shards.augment import Augment
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.loader import Loader
from shards.plan import Plan
from shards.read import Shards
from train.tasks.recognise import Settings as TaskSettings
from train.tasks.recognise import Task

CEILING, PEER = "ceiling: decode + resize", "webdataset + Pillow"


@dataclass
class Settings:
    """What is measured, and how often."""

    data: list[str] = field(default_factory=lambda: ["rendered", "real"])  # also folders of ingest.shard
    count: int = 10000  # words rendered
    rounds: int = 7  # turns of every contender
    threads: int = 1  # that decode, in our engines
    batch: int = 256  # samples

    def __post_init__(self) -> None:
        at_least(self, count=1, rounds=1, threads=1, batch=1)


def engines(shards: Shards, threads: int) -> list[str]:
    """The engines that work here; what `auto` picks is one of them."""
    able = []
    for name in lookup.members("shards.engines"):
        try:
            lookup.find("shards.engines", name).Engine(shards, ImageSpec(), threads)
        except BadSettings as error:
            print(f"engine {name}: not measured: {error}\n")
        else:
            able.append(name)
    return [name for name in able if name != "auto"]


def canvases(name: str, shards: Shards, settings: Settings, shuffled: bool) -> partial:
    """A pass of an engine over all samples."""
    engine = lookup.find("shards.engines", name).Engine(shards, ImageSpec(), settings.threads)
    order = np.random.default_rng(0).permutation(len(shards)) if shuffled else np.arange(len(shards))

    def work() -> int:
        for start in range(0, len(order), settings.batch):
            engine.read(order[start : start + settings.batch])
        return len(order)

    return partial(work)


def whole(name: str, shards: Shards, settings: Settings, megabytes: int) -> partial:
    """An epoch of the Loader: plan, engine, records, labels, float batches; no augmentation."""
    task = Task(TaskSettings(), ImageSpec())
    loader = Loader(
        shards, Plan(shards.uids, settings.batch), task.image, task.encode, Augment(augment.Settings()),
        engine=name, threads=settings.threads, memory=megabytes,
    )  # fmt: skip
    epochs = itertools.count()
    return partial(lambda: count(((b.images, b.uids) for b in loader.batches(next(epochs))), len(shards)))


def count(items: Iterable, samples: int) -> int:
    """Goes through batches to their end."""
    for _ in items:
        pass
    return samples


def compare(title: str, contenders: Contenders, rounds: int) -> None:
    """Prints one table."""
    found = take_turns(contenders, rounds)
    rows = [
        (name, found.speed(name), found.speed(name, "cpu"), found.ratio(name, CEILING, "cpu"),
         found.ratio(name, PEER), found.ratio(name, PEER, "cpu"))
        for name in contenders
    ]  # fmt: skip
    of_peer = f"x {PEER}"
    columns = ("", "images/s", "images per core-second", "of the ceiling per core (aim .80)",
               f"{of_peer} (aim 4)", f"{of_peer}, per core")  # fmt: skip
    table(title, columns, rows)


def main(argv: list[str]) -> None:
    """Two tables for each set: canvases alone, and batches to train on."""
    settings = config.read(Settings, "bench", argv)
    torch.set_num_threads(1)
    print(f"### Loader\n\n{machine(settings.threads)}\n")
    with tempfile.TemporaryDirectory() as folder:
        for number, (title, shards) in enumerate(sets(settings.data, settings.count, Path(folder))):
            images, tars = [shards.image(i) for i in range(len(shards))], tar_files(shards)
            able, size = engines(shards, settings.threads), len(shards)
            ceiling: Contenders = {CEILING: partial(bare, images)}
            ours: Contenders = {
                f"engine {e}, random order": canvases(e, shards, settings, True) for e in able
            }
            ours["engine plain, stored order"] = canvases("plain", shards, settings, False)
            peer: Contenders = {PEER: partial(tar_canvases, tars)}
            compare(f"Canvases: {title}", {**ceiling, **ours, **peer}, settings.rounds)
            ours = {f"Loader, {e}": whole(e, shards, settings, 0) for e in able}
            ours["Loader, plain, after an epoch in memory=256"] = whole("plain", shards, settings, 256)
            lmdb = Lmdb(shards, Path(folder) / f"lmdb{number}")
            peer = {PEER: lambda tars=tars, size=size: count(tar_batches(tars, settings.batch), size)}
            for n in (0, 1):
                loader = batches(lmdb, settings.batch, n)
                peer[f"LMDB + Pillow, num_workers={n}"] = partial(count, loader, size)
            compare(f"Batches: {title}", {**ceiling, **ours, **peer}, settings.rounds)


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
