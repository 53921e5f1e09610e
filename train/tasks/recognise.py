"""Task: read the one word of a crop, trained with CTC and scored as strings.

A record with exactly one legible, transcribed word is a word sample; all others cost and count nothing.
Letters: N samples, L time steps, C classes (class 0 the blank).
"""

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from shards.config import Choice
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.lookup import unknown
from shards.read import Shards
from shards.sample import Record
from train import decoders, details, mistakes
from train.charset import FOLDS, NAMED, Charset
from train.ctc import VARIES, ctc_loss, fits, needed_frames
from train.decode import Reading, array_of, read
from train.headings import WORDS
from train.models import Output
from train.tasks import Detail, Read
from train.wordscore import Meter, Score, truth

CENSUS_AT_A_TIME = 8192


@dataclass(frozen=True, slots=True)
class Settings:
    """A charset by name, from the labels or a file, or by its `characters` in class order, which then win.

    fold: none, lower or upper, applied to labels; empty: that of the named charset, none for all others. Once
    the characters are spelled out, charset says where they are from: data (the labels, their folding left
    open), folded (the labels, folded as asked), file, joined.
    """

    charset: str = "36"  # 36 (caseless), 62 or 94 characters; data: those of the labels; or an alphabet file
    characters: str = ""  # own characters in class order; they win over charset
    fold: str = ""  # none, lower or upper, applied to labels; empty: as the charset says
    base: str = ""  # of a file: 0 = its first line is the blank's place, 1 = the first class


@dataclass(frozen=True, slots=True)
class Targets:
    """Labels as classes: symbols int64 [sum], lengths int64 [N] (0 where unusable), usable bool [N]."""

    symbols: Tensor
    lengths: Tensor
    usable: Tensor

    def to(self, device: torch.device | str) -> "Targets":
        """The same on another device."""
        return Targets(*(t.to(device, non_blocking=True) for t in (self.symbols, self.lengths, self.usable)))


class Task:
    """See train.tasks; `channels` is the size of the charset with its blank."""

    answers, headings, finds, least = "frames", WORDS, False, 0.0

    def __init__(self, settings: Settings, image: ImageSpec) -> None:
        self.charset = _charset(settings)
        # Spelled out: a stored task does not depend on what a name meant on the day.
        self.settings = Settings(settings.charset, self.charset.characters, self.charset.fold)
        self.image, self.channels, self.varies = image, self.charset.size, VARIES
        self.read_by(decoders.stored(None))

    def read_by(self, decoder: Choice, temperature: float = 1.0) -> None:
        """From now on `decode` takes this decoder, and confidences at this temperature."""
        self._decoder, self._temperature = decoders.make(decoder, self.charset), temperature

    def encode(self, records: Sequence[Record]) -> Targets:
        """Labels to classes; a sample without a label that the charset can spell is marked unusable."""
        labels = [truth(record) for record in records]
        usable = [label is not None and not self.charset.unspellable(label) for label in labels]
        pairs = zip(labels, usable, strict=True)
        spelled = [self.charset.encode(label) if label and ok else [] for label, ok in pairs]
        return Targets(*_flat(spelled), torch.tensor(usable, dtype=torch.bool))

    def check(self, shards: Shards) -> None:
        """Refuses samples of several words: this task reads one word per picture."""
        several = int((shards.column("words") > 1).sum())
        if several:
            raise BadData(
                f"{', '.join(map(str, shards.folders))}: {several} of {len(shards)} samples hold several "
                "words; recognise reads crops of one word (icdar2015 level=crops cuts them out of photos)"
            )

    def census(self, texts: Iterable[str | None], frames: Iterable[int]) -> dict[str, int]:
        """How many labels cannot teach: unlabelled, unencodable, infeasible in the steps each has."""
        counts = {"unlabelled": 0, "unencodable": 0, "infeasible": 0}
        left = zip(texts, frames, strict=False)
        while some := list(itertools.islice(left, CENSUS_AT_A_TIME)):
            known = [(text, steps) for text, steps in some if text is not None]
            able = [(text, steps) for text, steps in known if not self.charset.unspellable(text)]
            needed = needed_frames(*_flat([self.charset.encode(text) for text, _ in able]))
            counts["unlabelled"] += len(some) - len(known)
            counts["unencodable"] += len(known) - len(able)
            counts["infeasible"] += int((needed > torch.tensor([steps for _, steps in able])).sum())
        return counts

    def loss(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """CTC in nats per sample [N], 0 for what is unusable or longer than a sample's own steps can
        spell; to be watched: the share of steps whose best class is the blank, and whether steps are too few.
        """
        loss = ctc_loss(output.logits, targets.symbols, targets.lengths, output.steps)
        blank = output.logits.detach().argmax(-1) == Charset.BLANK
        short = ~fits(output, targets.symbols, targets.lengths)
        watched = {"blank_rate": blank.float().mean(1), "infeasible": short.float()}
        return {"task": torch.where(targets.usable, loss, 0.0), **watched}

    def decode(self, output: Output) -> list[tuple[Read, ...]]:
        """One word per sample, by the decoder, with its confidence as score."""
        return [(self._word(r),) for r in read(self._decoder, output.logits, self._temperature)]

    def detailed(self, raw: bool, topk: int) -> Callable[[Output], list[tuple[Read, ...]]]:
        """`decode` with the `detail` of each word; BadSettings where the decoder knows one text alone."""
        if topk:
            decoders.several(self._decoder, f"topk={topk}")
        ask = details.Asked(raw, topk, self.image.width, self._temperature)

        def decode(output: Output) -> list[tuple[Read, ...]]:
            told = ask.of(self._decoder, self.charset, output)
            return [(self._word(reading, detail),) for reading, detail in told]

        return decode

    def _word(self, r: Reading, detail: Detail | None = None) -> Read:
        return Read(
            self.charset.decode(r.symbols), score=r.confidence, characters=r.characters,
            certified=r.certified, detail=detail,
        )  # fmt: skip

    def trials(
        self, output: Output, records: Sequence[Record], temperatures: Sequence[float]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Whether the word of each labelled sample is right, and its confidence at each temperature."""
        labels = [truth(record) for record in records]
        lines = np.array([i for i, label in enumerate(labels) if label is not None], np.int64)
        path, _ = self._decoder.paths(array_of(output.logits)[lines])
        texts = [self.charset.decode(symbols) for symbols in path.labels(np.arange(len(lines)))]
        right = [
            self.charset.normalise(labels[i] or "") == text for i, text in zip(lines, texts, strict=True)
        ]
        sure = [path.confidences(path.chances(temperature)) for temperature in temperatures]
        return np.array(right, bool), np.stack(sure, 1)

    def meter(self) -> Meter:
        """A fresh meter."""
        return Meter(self.charset)

    def score(self, meter: Meter, damage: Mapping[int, str], seed: int) -> Score:
        """The figures of an evaluation."""
        return Score(meter, damage, seed)

    def mistakes(self, meter: Meter, damage: Mapping[int, str], shards: Shards) -> dict[str, Any]:
        """What was read wrong, as `train.mistakes` tells it."""
        return mistakes.of(meter, damage, self, shards)


def _flat(spelled: list[list[int]]) -> tuple[Tensor, Tensor]:
    """Labels as (symbols [sum], lengths [N]), int64."""
    symbols = torch.tensor([c for classes in spelled for c in classes], dtype=torch.int64)
    return symbols, torch.tensor([len(classes) for classes in spelled], dtype=torch.int64)


def settle(settings: Settings, shards: Shards) -> tuple[Settings, str]:
    """Settings with their characters spelled out, where labels or a file have them, and what to say of it."""
    known = settings.characters or settings.charset in NAMED or settings.charset == "data"
    if settings.base and known:
        raise BadSettings(f"task.base={settings.base} is of alphabet files: task.charset=FILE")
    if settings.characters or settings.charset in NAMED:
        return settings, ""
    fold = settings.fold or "none"
    if settings.charset == "data":
        found = Charset.of(shards.texts(), fold)
        said = f"charset: {len(found.characters)} characters in the labels"
        name = "folded" if settings.fold else "data"
    elif Path(settings.charset).is_file():
        found = Charset.read(Path(settings.charset), settings.base, fold)
        twice = f"; more than once: {found.repeated!r}, labels take the first class" if found.repeated else ""
        said = f"charset: {found.size} classes with the blank from {settings.charset}{twice}"
        name = "file"
    else:
        known = [*NAMED, "data", "or a file, one character a line"]
        raise BadSettings(unknown("task.charset", settings.charset, known))
    return Settings(name, found.characters, fold), said


def joined(old: Settings, new: Settings) -> Settings:
    """The characters of `old`, then those only `new` has; folded as in `new` if that leaves all old ones.
    Labels whose folding was left open are folded as in `old`.
    """
    if new.charset == "data":
        found = Charset.of(new.characters, old.fold)
        new = Settings("data", found.characters, found.fold)
    more = "".join(c for c in new.characters if c not in old.characters)
    whole = all(FOLDS[new.fold](c) == c for c in old.characters)
    return Settings("joined", old.characters + more, new.fold if whole else old.fold)


def _charset(settings: Settings) -> Charset:
    if settings.characters:
        found = Charset(settings.characters, settings.fold or "none")
        if found.repeated and settings.charset not in ("file", "joined"):
            raise BadSettings(f"task.characters: given twice: {found.repeated!r}")
        return found
    named = Charset.named(settings.charset)
    return Charset(named.characters, settings.fold or named.fold)
