"""Words drawn here, from a list or invented, in the fonts at hand: same seed, same bytes.

python -m ingest.shard source=rendered out=DIR split=train count=20000
python -m ingest.shard source=rendered out=DIR split=train,test words=words.txt fonts=FOLDER
"""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np

from ingest import lexicon
from ingest.backgrounds import photographs
from ingest.fonts import Face, faces
from ingest.render import VERSION, word_image
from ingest.sources import Reject
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Meta, Record, Sample, Word
from shards.written import digest

GIVES = "words"
EXPECTS = "nothing; words, fonts and photographs of your own if you like"
LICENCE = "made here; fonts, words and photographs keep their own"
CASES = {"as_is": str, "lower": str.lower, "capitalised": str.capitalize, "upper": str.upper}
MIX = ("lower", "capitalised", "upper")
ATTEMPTS = 8  # drawings of one word before it is rejected as blank


@dataclass(frozen=True)
class Settings:
    """Everything here but file names is part of the data set's identity."""

    count: int = 20000  # words per split
    words: str = ""  # a file with one word per line; empty: invented, pronounceable words
    vocabulary: int = 20000  # how many words are invented, all splits together
    min_length: int = 3  # characters
    max_length: int = 6  # characters
    digits: float = 0.0  # share of the vocabulary that are numbers
    case: list[str] = field(default_factory=lambda: list(MIX))  # of as_is, lower, capitalised, upper
    fonts: str = "matplotlib"  # a folder, system or matplotlib
    backgrounds: str = ""  # a folder of photographs; empty: textures
    strength: float = 1.0  # of all that makes reading hard, 0 to 2
    seed: int = 0  # same seed, same bytes


class Source:
    """Row r: a word of the split's part of the lexicon, each as often as any other, drawn its own way."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        _check(settings, split)
        self.settings, self.split = settings, split
        words = _lexicon(settings)
        self.words = [word for word in words if lexicon.split_of(word) == split]
        if not self.words:
            raise BadData(f"none of {len(words)} words belongs to split {split}; more words are needed")
        self.faces = faces(settings.fonts)
        self.photos, photo_hashes = photographs(settings.backgrounds)
        self.order = lru_cache(maxsize=2)(self._order)
        self.options: dict[str, object] = {
            "renderer": VERSION,
            "lexicon": digest(words),
            "fonts": digest([[face.name, face.sha256] for face in self.faces]),
            "backgrounds": digest(photo_hashes),
            **{key: getattr(settings, key) for key in ("count", "case", "strength", "seed")},
        }

    def __len__(self) -> int:
        return self.settings.count

    def read(self, row: int) -> Sample:
        """The word of a row, drawn; Reject: no_font (none spells it), blank (never came out readable)."""
        turn, place = divmod(row, len(self.words))
        word = self.words[self.order(turn)[place]]
        origin = f"{self.split}/{row}"
        for attempt in range(ATTEMPTS):
            rng = self._rng(row, attempt)
            text = _cased(word, self.settings.case[int(rng.integers(len(self.settings.case)))])
            able = self._able(text)
            if not able:
                raise Reject("no_font", origin, text)
            face = able[int(rng.integers(len(able)))]
            crop = word_image(text, face.path, self.photos, self.settings.strength, rng)
            if crop is not None:
                record = Record((Word(text),), crop.size, origin, Meta(group=word.casefold(), font=face.name))
                return Sample(crop.image, "jpg", record)
        raise Reject("blank", origin, word)

    def _able(self, text: str) -> list[Face]:
        """The fonts that spell a text: all of them, where it is made of what every text font has."""
        plain = text.isascii() and text.isalnum()
        return self.faces if plain else [face for face in self.faces if face.spells(text)]

    def _rng(self, *path: int) -> np.random.Generator:
        """The random numbers of one drawing: a function of seed, split and the numbers given alone."""
        return _generator(self.settings.seed, lexicon.SPLITS.index(self.split), *path)

    def _order(self, turn: int) -> np.ndarray:
        """The order in which the words come in the turn-th pass over them."""
        return self._rng(turn, ATTEMPTS, 1).permutation(len(self.words))


def _generator(*path: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(path)))


def _check(settings: Settings, split: str) -> None:
    if split not in lexicon.SPLITS:
        raise BadSettings(unknown("split", split, list(lexicon.SPLITS)))
    for case in settings.case or [""]:
        if case not in CASES:
            raise BadSettings(unknown("case", case, list(CASES)))
    rules = {
        "count of at least 1": settings.count >= 1,
        "vocabulary of at least 10": settings.vocabulary >= 10,
        "1 <= min_length <= max_length": 1 <= settings.min_length <= settings.max_length,
        "digits in [0, 1)": 0 <= settings.digits < 1,
        "strength in [0, 2]": 0 <= settings.strength <= 2,
        "seed of at least 0": settings.seed >= 0,
    }
    for rule, kept in rules.items():
        if not kept:
            raise BadSettings(f"rendered needs a {rule}, got {settings}")


def _lexicon(settings: Settings) -> list[str]:
    """The words of all splits together; `digits` of them numbers."""
    lengths = (settings.min_length, settings.max_length)
    rng = _generator(settings.seed, len(lexicon.SPLITS))
    if settings.words:
        words = lexicon.from_file(Path(settings.words), *lengths)
        wanted = round(len(words) * settings.digits / (1 - settings.digits))
    else:
        wanted = round(settings.vocabulary * settings.digits)
        words = lexicon.invented(settings.vocabulary - wanted, *lengths, rng)
    known = {word.casefold() for word in words}
    return words + [n for n in lexicon.numbers(wanted, *lengths, rng) if n not in known]


def _cased(word: str, case: str) -> str:
    """The word in a case, or as it is where that would make another text of it (and so of another split)."""
    text = CASES[case](word)
    return text if text.casefold() == word.casefold() else word
