"""The charset: which characters a recogniser knows, and how a label becomes class indices and back.

Class 0 is the blank, here and nowhere else; character i of `characters` is class i + 1.
"""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import ClassVar

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
        double = sorted({c for c in self.characters if self.characters.count(c) > 1})
        if double:
            raise BadSettings(f"charset: characters given twice: {''.join(double)!r}")
        lost = [c for c in self.characters if self.normalise(c) != c]
        if lost:
            raise BadSettings(f"charset: no label can hold {''.join(lost)!r} after NFC and fold={self.fold}")
        object.__setattr__(self, "_classes", {c: i + 1 for i, c in enumerate(self.characters)})

    @classmethod
    def named(cls, name: str) -> "Charset":
        """One of the charsets of the usual protocols: 36, 62 or 94 characters."""
        if str(name) not in NAMED:
            raise BadSettings(unknown("charset", name, list(NAMED)))
        return cls(*NAMED[str(name)])

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
