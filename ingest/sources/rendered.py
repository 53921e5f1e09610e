"""Words, or whole pictures with words, drawn here from a list or invented: same seed, same bytes.

python -m ingest.shard source=rendered out=DIR split=train count=20000
python -m ingest.shard source=rendered out=DIR split=train,test words=words.txt fonts=FOLDER
python -m ingest.shard source=rendered out=DIR level=scenes count=3000 scene_width=320 scene_height=320

A scene takes its words from the split's part of the lexicon alone, so that train and test share none.
"""

from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path

import numpy as np

from ingest import lexicon, scenes
from ingest.backgrounds import photographs
from ingest.fonts import Face, faces
from ingest.render import VERSION, word_image
from ingest.sources import Reject
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Meta, Record, Sample, Word
from shards.written import digest

GIVES = "words, or scenes with quads and texts"
EXPECTS = "nothing; words, fonts and photographs of your own if you like"
LICENCE = "made here; fonts, words and photographs keep their own"
CASES = {"as_is": str, "lower": str.lower, "capitalised": str.capitalize, "upper": str.upper}
MIX = ("lower", "capitalised", "upper")
ATTEMPTS = 8  # drawings of one word before it is rejected as blank


@dataclass(frozen=True)
class Settings:
    """Everything here but file names is part of the data set's identity."""

    count: int = 20000  # words, or scenes, per split
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
    level: str = "words"  # words: crops; scenes: whole pictures, to which alone all below applies
    scene_width: int = 640  # pixels
    scene_height: int = 480  # pixels
    min_words: int = 1  # on a picture that has any
    max_words: int = 12  # on a picture
    wordless: float = 0.05  # share of the pictures that have no word
    min_word_height: float = 0.025  # of a line of words, share of the picture's height
    max_word_height: float = 0.25  # likewise


class Source:
    """Row r: a word of the split's part of the lexicon, or a scene of several, drawn its own way.

    Each word comes as often as any other; a scene may have no room for some of its share.
    """

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
        self.level = LEVELS[settings.level](self)
        self.options |= self.level.options

    def __len__(self) -> int:
        return self.settings.count

    def read(self, row: int) -> Sample:
        """The word or the scene of a row, drawn; Reject: see the level's own `read`."""
        return self.level.read(row)

    def word(self, place: int) -> str:
        """The word at a place of the endless listing in which each comes as often as any other."""
        turn, place = divmod(place, len(self.words))
        return self.words[self.order(turn)[place]]

    def cased(self, word: str, rng: np.random.Generator) -> str:
        """The word in one of the cases that were asked for."""
        return _cased(word, self.settings.case[int(rng.integers(len(self.settings.case)))])

    def able(self, text: str) -> list[Face]:
        """The fonts that spell a text: all of them, where it is made of what every text font has."""
        plain = text.isascii() and text.isalnum()
        return self.faces if plain else [face for face in self.faces if face.spells(text)]

    def rng(self, *path: int) -> np.random.Generator:
        """The random numbers of one drawing: a function of seed, split and the numbers given alone."""
        return _generator(self.settings.seed, lexicon.SPLITS.index(self.split), *path)

    def _order(self, turn: int) -> np.ndarray:
        """The order in which the words come in the turn-th pass over them."""
        return self.rng(turn, ATTEMPTS, 1).permutation(len(self.words))


class _Words:
    """Row r: one word."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.options: dict[str, object] = {}

    def read(self, row: int) -> Sample:
        """The word of a row, drawn; Reject: no_font (none spells it), blank (never came out readable)."""
        source, word, origin = self.source, self.source.word(row), f"{self.source.split}/{row}"
        for attempt in range(ATTEMPTS):
            rng = source.rng(row, attempt)
            text = source.cased(word, rng)
            able = source.able(text)
            if not able:
                raise Reject("no_font", origin, text)
            face = able[int(rng.integers(len(able)))]
            crop = word_image(text, face.path, source.photos, source.settings.strength, rng)
            if crop is not None:
                record = Record((Word(text),), crop.size, origin, Meta(group=word.casefold(), font=face.name))
                return Sample(crop.image, "jpg", record)
        raise Reject("blank", origin, word)


class _Scenes:
    """Row r: a picture with the words that follow those of row r - 1."""

    def __init__(self, source: Source) -> None:
        self.source, told = source, source.settings
        heights = told.min_word_height * told.scene_height, told.max_word_height * told.scene_height
        self.look = scenes.Look(
            (told.scene_width, told.scene_height),
            (told.min_words, told.max_words),
            heights,
            told.wordless,
            told.strength,
        )
        self.options: dict[str, object] = {"level": "scenes", "scenes": scenes.VERSION}
        self.options |= {key: getattr(told, key) for key in SCENE_KEYS}

    def read(self, row: int) -> Sample:
        """The picture of a row; Reject: no_room (for min_words at these heights)."""
        source, most, origin = self.source, self.look.words[1], f"{self.source.split}/{row}"
        words = [source.word(row * most + place) for place in range(most)]
        for attempt in range(ATTEMPTS):
            rng = source.rng(row, attempt)
            texts = [source.cased(word, rng) for word in dict.fromkeys(words)]
            drawn = scenes.scene(texts, source.able, source.photos, self.look, rng)
            if drawn is not None:
                image, found = drawn
                return Sample(image, "jpg", Record(found, self.look.size, origin, Meta(group=origin)))
        raise Reject("no_room", origin)


LEVELS = {"words": _Words, "scenes": _Scenes}
SCENE_KEYS = [one.name for one in fields(Settings)]
SCENE_KEYS = SCENE_KEYS[SCENE_KEYS.index("level") + 1 :]


def _generator(*path: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(path)))


def _check(settings: Settings, split: str) -> None:
    if split not in lexicon.SPLITS:
        raise BadSettings(unknown("split", split, list(lexicon.SPLITS)))
    if settings.level not in LEVELS:
        raise BadSettings(unknown("level", settings.level, list(LEVELS)))
    for key in SCENE_KEYS:
        if settings.level != "scenes" and getattr(settings, key) != getattr(Settings, key):
            value = getattr(settings, key)
            raise BadSettings(f"{key}={value} is for level=scenes; level is {settings.level}")
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
        "scene_width and scene_height of at least 32": min(settings.scene_width, settings.scene_height) >= 32,
        "1 <= min_words <= max_words": 1 <= settings.min_words <= settings.max_words,
        "wordless in [0, 1]": 0 <= settings.wordless <= 1,
        "0 < min_word_height <= max_word_height": 0 < settings.min_word_height <= settings.max_word_height,
        "max_word_height of at most 0.8": settings.max_word_height <= 0.8,
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
