"""The charset: which characters a recogniser knows, and how a label becomes class indices and back.

Class 0 is the blank, here and nowhere else; character i of `characters` is class i + 1. A character may stand
twice, as in some published alphabets: labels take its first class, every class of it reads the same.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from shards import alphabet
from shards.errors import BadSettings
from shards.lookup import unknown

FOLDS = {"none": str, "lower": str.lower, "upper": str.upper}
DIGITS, LOWER = "0123456789", "abcdefghijklmnopqrstuvwxyz"
# 36: caseless; 62: digits, small letters, capitals; 94: printable ASCII in code order, without the space
NAMED = {
    "36": (DIGITS + LOWER, "lower"),
    "62": (DIGITS + LOWER + LOWER.upper(), "none"),
    "94": ("".join(map(chr, range(33, 127))), "none"),
}


@dataclass(frozen=True, slots=True)
class Charset:
    """The characters in class order, and the folding (none, lower, upper) of labels before spelling."""

    characters: str
    fold: str = "none"
    _classes: dict[str, int] = field(init=False, repr=False, compare=False)
    BLANK: ClassVar[int] = 0

    def __post_init__(self) -> None:
        if self.fold not in FOLDS:
            raise BadSettings(unknown("fold", self.fold, list(FOLDS)))
        if not self.characters:
            raise BadSettings("charset: no characters")
        lost = [c for c in self.characters if self.normalise(c) != c]
        if lost:
            composed = all(unicodedata.is_normalized("NFC", c) for c in lost)
            way = "task.fold=none keeps them" if composed else "leave them out"
            raise BadSettings(
                f"charset: no label can hold {''.join(lost)!r} after NFC and fold={self.fold}; {way}"
            )
        classes = {c: i for i, c in reversed(list(enumerate(self.characters, start=1)))}
        object.__setattr__(self, "_classes", classes)

    @classmethod
    def named(cls, name: str) -> "Charset":
        """One of the charsets of the usual protocols: 36, 62 or 94 characters."""
        if str(name) not in NAMED:
            raise BadSettings(unknown("charset", name, list(NAMED)))
        return cls(*NAMED[str(name)])

    @classmethod
    def of(cls, texts: Iterable[str | None], fold: str = "none") -> "Charset":
        """The characters of some texts, folded, in code order; texts that are None hold none."""
        plain = cls("0", fold)
        found = {c for text in texts if text is not None for c in plain.normalise(text)}
        if not found:
            raise BadSettings("charset: the labels hold no characters")
        return cls("".join(sorted(found)), fold)

    @classmethod
    def read(cls, path: Path, base: str, fold: str = "none") -> "Charset":
        """An alphabet file, folded; base: "0", its first line is the blank's place, "1", class 1."""
        return cls(alphabet.read(path, base, "task.base", cls("0", fold).normalise), fold)

    @property
    def repeated(self) -> str:
        """The characters that stand more than once, in order."""
        return "".join(alphabet.repeated(self.characters))

    def to_dict(self) -> dict[str, str]:
        """What config.json holds."""
        return {"characters": self.characters, "fold": self.fold}

    @property
    def size(self) -> int:
        """C: the characters and the blank."""
        return len(self.characters) + 1

    def normalise(self, text: str) -> str:
        """NFC, then the folding, then NFC again, since folding may decompose (U+0130)."""
        return unicodedata.normalize("NFC", FOLDS[self.fold](unicodedata.normalize("NFC", text)))

    def unspellable(self, text: str) -> str:
        """The characters of the normalised text that have no class, once each, in order."""
        return "".join(dict.fromkeys(c for c in self.normalise(text) if c not in self._classes))

    def encode(self, text: str) -> list[int]:
        """Class indices of the normalised text; ValueError with the characters that have none."""
        lost = self.unspellable(text)
        if lost:
            raise ValueError(f"label {text!r}: no class for {lost!r}")
        return [self._classes[c] for c in self.normalise(text)]

    def decode(self, indices: Iterable[int]) -> str:
        """The text of collapsed class indices; the blank and unknown classes are a ValueError."""
        out = []
        for i in indices:
            if not 0 < i < self.size:
                raise ValueError(f"class {i} is no character of 1..{self.size - 1}")
            out.append(self.characters[i - 1])
        return "".join(out)
