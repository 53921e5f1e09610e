"""Which words are rendered, and in which split a text lives.

The *text* decides the split: a hash of the case-folded word, whatever the seed, so that a held-out word is
held out of every training set ever rendered. About 80 % of a lexicon is train, 10 % val, 10 % test.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from shards.errors import BadData, BadSettings
from shards.storage import content

SPLITS = ("train", "val", "test")
VOWELS = np.array(list("aeiou"))
CONSONANTS = np.array(list("bcdfghjklmnpqrstvwxyz"))
DIGITS = np.array(list("0123456789"))
ROUNDS = 50  # draws of a whole vocabulary before short words count as exhausted


def split_of(text: str) -> str:
    """The split that owns a text, in any case."""
    place = int.from_bytes(hashlib.sha256(text.casefold().encode()).digest()[:8], "big") % 100
    return "train" if place < 80 else "val" if place < 90 else "test"


def from_file(path: Path, shortest: int, longest: int) -> list[str]:
    """The words of a list, one per line, of a length in [shortest, longest], each once whatever its case."""
    try:
        lines = content(path).removeprefix(b"\xef\xbb\xbf").splitlines()
    except OSError as error:
        raise BadData(f"words={path}: {error.strerror}") from None
    words: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        try:
            word = line.decode()
        except UnicodeDecodeError as error:
            raise BadData(f"{path}:{number}: not UTF-8 ({error.reason} at byte {error.start})") from None
        if shortest <= len(word) <= longest and word.isprintable() and word.strip():
            words.setdefault(word.casefold(), word)
    if not words:
        raise BadData(f"{path}: no word of {shortest} to {longest} characters")
    return list(words.values())


def invented(count: int, shortest: int, longest: int, rng: np.random.Generator) -> list[str]:
    """`count` different words that a tongue could follow: vowels and consonants mostly alternate."""
    return _distinct(count, shortest, longest, rng, _letters, "words")


def numbers(count: int, shortest: int, longest: int, rng: np.random.Generator) -> list[str]:
    """`count` different strings of digits."""
    return _distinct(count, shortest, longest, rng, _digits, "numbers")


Draw = Callable[[int, int, np.random.Generator], np.ndarray]


def _distinct(
    count: int, shortest: int, longest: int, rng: np.random.Generator, draw: Draw, kind: str
) -> list[str]:
    words: dict[str, None] = {}
    for _ in range(ROUNDS):
        if len(words) >= count:
            break
        rows = draw(max(count, 100), longest, rng)
        lengths = rng.integers(shortest, longest + 1, len(rows))
        words.update(dict.fromkeys("".join(row[:n]) for row, n in zip(rows.tolist(), lengths, strict=True)))
    if len(words) < count:
        raise BadSettings(f"{count} different {kind} of {shortest} to {longest} characters cannot be drawn, "
                          f"only {len(words)}: lower vocabulary= or raise max_length=")  # fmt: skip
    return list(words)[:count]


def _letters(count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    """[count, length] letters; a consonant follows 85 % of vowels, a vowel 75 % of consonants."""
    vowel = np.empty((count, length), bool)
    chance = rng.random((count, length))
    vowel[:, 0] = chance[:, 0] < 0.3
    for place in range(1, length):
        vowel[:, place] = chance[:, place] < np.where(vowel[:, place - 1], 0.15, 0.75)
    pick = rng.random((count, length))
    return np.where(vowel, VOWELS[(pick * 5).astype(int)], CONSONANTS[(pick * 21).astype(int)])


def _digits(count: int, length: int, rng: np.random.Generator) -> np.ndarray:
    return DIGITS[rng.integers(0, 10, (count, length))]
