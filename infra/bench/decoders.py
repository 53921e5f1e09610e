"""What reading an answer costs: lines a second of every decoder, on one core.

    python infra/bench/decoders.py
    python infra/bench/decoders.py lines=20000 rounds=9
    python infra/bench/decoders.py steps=80 classes=97 top=.97

Made-up answers, peaked (the mean probability of the best class of a step is `top`) and soft; they spell
words of a made-up list, which is the lexicon and what the n-gram model saw. A pass of a slow decoder takes
fewer lines. Aims, peaked: certified 300,000 lines a second, beam 60 us a line.
"""

import gc
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rounds import Contenders, at_least, machine, table, take_turns

from ingest.lexicon import invented
from shards import config, lookup, progress
from train import decoders, kneserney
from train.charset import Charset
from train.decode import Decoder, read
from train.decoders import beam

SHARE = {"greedy": 1, "certified": 1, "beam": 16, "beam, own": 16, "beam, ngram": 64, "lexicon": 256}
COLUMNS = ("", "lines/s", "lines/s of processor time", "us of it a line", "times greedy's")
HEIGHT = 30.0  # the largest height of a peak that is tried


@dataclass
class Settings:
    """What is measured, and how often."""

    lines: int = 16384  # of a pass of the quickest decoder
    steps: int = 26  # of an answer
    classes: int = 37  # with the blank
    top: float = 0.988  # mean probability of the best class of a step, of peaked answers
    soft: float = 0.684  # the same, of soft ones
    width: int = 10  # of the beams
    words: int = 90_000  # of the lexicon
    rounds: int = 7  # turns of every contender
    threads: int = 1  # of torch

    def __post_init__(self) -> None:
        at_least(self, lines=1, steps=12, classes=27, width=1, words=1, rounds=1, threads=1)


def answers(settings: Settings, labels: list[list[int]], top: float) -> torch.Tensor:
    """Logits [N,L,C] that spell the labels, their steps where chance puts them."""
    draw = torch.Generator().manual_seed(0)
    logits = torch.randn(len(labels), settings.steps, settings.classes, generator=draw)
    best = torch.zeros(len(labels), settings.steps, 1, dtype=torch.int64)
    for row, label in zip(best, labels, strict=True):
        some = torch.randperm(settings.steps, generator=draw)[: len(label)].sort().values
        row[some, 0] = torch.tensor(label[: len(some)])
    low, high = 0.0, HEIGHT
    for _ in range(20):
        height = (low + high) / 2
        peaks = torch.full(best[:512].shape, height)
        found = logits[:512].scatter_add(-1, best[:512], peaks).softmax(-1).amax(-1).mean()
        low, high = (height, high) if found < top else (low, height)
    return logits.scatter_add_(-1, best, torch.full(best.shape, low))


def contenders(settings: Settings, charset: Charset, words: list[str], place: Path) -> dict[str, Decoder]:
    """The decoders by their rows."""
    (place / "words.txt").write_text("\n".join(words))
    kneserney.save(kneserney.fit(words, charset)[0], place / "words.ngram")
    more = {
        "lexicon": {"words": str(place / "words.txt")},
        "beam": {"width": settings.width}, "certified": {"width": settings.width},
        "beam, ngram": {"width": settings.width, "ngram": str(place / "words.ngram")},
    }  # fmt: skip
    names = ["greedy", "certified", "beam", "beam, ngram", "lexicon"]
    assert {name.partition(",")[0] for name in names} == set(lookup.members("train.decoders"))
    made = {
        name: decoders.make(decoders.stored({"name": name.partition(",")[0], **more.get(name, {})}), charset)
        for name in names
    }
    ours = beam.Decoder(beam.Settings(settings.width), charset)
    ours.search = beam.own
    return {**made, "beam, own": ours}


def passes(made: dict[str, Decoder], logits: torch.Tensor) -> Contenders:
    """Each reads its share of the lines."""

    def reading(decoder: Decoder, some: torch.Tensor):
        return lambda: len(read(decoder, some))

    return {name: reading(made[name], share_of(logits, name)) for name in SHARE}


def share_of(logits: torch.Tensor, name: str) -> torch.Tensor:
    """The lines of a decoder's pass."""
    return logits[: max(1, len(logits) // SHARE[name])]


def main(argv: list[str]) -> None:
    """A table of each kind of answers."""
    settings = config.read(Settings, "bench", argv)
    torch.set_num_threads(settings.threads)
    print(f"### Decoders\n\n{machine(settings.threads)}\n")
    charset = Charset("".join(map(chr, (*range(97, 123), *range(0x4E00, 0x4E00 + settings.classes - 27)))))
    rng = np.random.default_rng(0)
    words = invented(settings.words, 4, 12, rng)
    labels = [charset.encode(words[i]) for i in rng.integers(len(words), size=settings.lines)]
    with tempfile.TemporaryDirectory() as place:
        made = contenders(settings, charset, words, Path(place))
        gc.freeze()  # or now and then a pass pays for looking through the whole lexicon
        for kind, top in (("peaked", settings.top), ("soft", settings.soft)):
            logits = answers(settings, labels, top)
            found = take_turns(passes(made, logits), settings.rounds)
            what = f"{kind} answers (top-1 {top}), T={settings.steps}, C={settings.classes}"
            rows = [
                (name, found.speed(name), found.speed(name, "cpu"), f"{1e6 / found.speed(name, 'cpu'):.2f}",
                 found.ratio("greedy", name, "cpu")) for name in SHARE
            ]  # fmt: skip
            table(f"{what}, {settings.words:,} words, beams of {settings.width}", COLUMNS, rows)
            for name in ("certified", "lexicon"):
                proved = [reading.certified for reading in read(made[name], share_of(logits, name))]
                print(f"{name}: {100 * sum(proved) / len(proved):.1f} % of the readings are certified\n")


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
