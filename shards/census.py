"""What can be counted of a split from its columns and labels: lengths, sizes, characters, distinct texts."""

import unicodedata
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from shards import manifest
from shards.errors import BadData
from shards.manifest import Manifest
from shards.read import Shards


@dataclass(frozen=True, slots=True)
class Letter:
    """A character on the page. mark: rare, absent or nothing."""

    text: str
    name: str
    count: int
    mark: str


@dataclass
class Census:
    """The counts of one split; `name` is what the page calls it.

    lengths: characters of every word with a text. texts: case-folded, with how often each stands there.
    left_out: see `rejects`.
    illegible is counted where images hold several words or none; a crop's word is meant to be read.
    """

    name: str
    split: str
    manifest: Manifest
    left_out: list[tuple[str, int, list[str]]]
    lengths: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    width: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    height: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))
    words: int = 0
    illegible: int = 0
    characters: Counter[str] = field(default_factory=Counter)
    texts: Counter[str] = field(default_factory=Counter)

    @property
    def textless(self) -> int:
        """Words that nobody has transcribed."""
        return self.words - len(self.lengths)

    @property
    def aspects(self) -> np.ndarray:
        """Width / height of every image."""
        return self.width / np.maximum(self.height, 1)

    def facts(self) -> dict[str, Any]:
        """What the table of counts says of a split."""
        middle = [int(np.median(side)) if len(side) else 0 for side in (self.width, self.height)]
        sides = [f"{side.min()} to {side.max()}" if len(side) else "-" for side in (self.width, self.height)]
        content = self.manifest
        return {
            "rows": content.rows,
            "written": content.written,
            "rejected": content.rows - content.written,
            "shards": len(content.shards),
            "MB": round(sum(sum(shard.bytes.values()) for shard in content.shards) / 1e6, 1),
            "words": self.words,
            "without text": self.textless,
            "illegible": self.illegible,
            "distinct texts": len(self.texts),
            "median size": f"{middle[0]}x{middle[1]}",
            "widths": sides[0],
            "heights": sides[1],
        }


def count(root: Path, split: str, name: str) -> Census:
    """The census of a split. Records are read, for legibility, where images hold several words or none."""
    content = manifest.load(root / split)
    left_out = rejects(root / split)
    if not content.written:
        return Census(name, split, content, left_out)
    shards = Shards([root], split)
    lengths, characters, texts = array("q"), Counter(), Counter()
    for text in shards.texts():
        for word in () if text is None else text.split("\n"):
            lengths.append(len(word))
            characters.update(word)
            texts[word.casefold()] += 1
    words = shards.column("words")
    scenes = range(len(shards)) if (words != 1).any() else ()
    illegible = sum(_illegible(shards, position) for position in scenes)
    return Census(
        name=name,
        split=split,
        manifest=content,
        left_out=left_out,
        lengths=np.array(lengths),
        width=shards.column("width").astype(np.int64),
        height=shards.column("height").astype(np.int64),
        words=int(words.sum()),
        illegible=illegible,
        characters=characters,
        texts=texts,
    )


def letters(found: list[Census], rare: int) -> tuple[list[Letter], str]:
    """All characters, the most frequent first, and what they were counted in: train where there is one."""
    training = [c for c in found if c.split == "train"]
    counted = sum((c.characters for c in training or found), Counter())
    every = set().union(*(c.characters for c in found))
    out = []
    for character in sorted(every, key=lambda c: (-counted[c], c)):
        times = counted[character]
        name = f"U+{ord(character):04X} {unicodedata.name(character, 'no name')}"
        out.append(Letter(character, name, times, "" if times >= rare else "rare" if times else "absent"))
    return out, "train" if training else "all splits"


def missed(found: list[Census], known: str) -> list[list[Any]]:
    """(character, name, times in each split) of all that `known` lacks, the most frequent first."""
    total = sum((c.characters for c in found), Counter())
    lacking = sorted(set(total) - set(known), key=lambda c: (-total[c], c))
    names = [unicodedata.name(c, f"U+{ord(c):04X}") for c in lacking]
    return [[c, name, *(one.characters[c] for one in found)] for c, name in zip(lacking, names, strict=True)]


def _illegible(shards: Shards, position: int) -> int:
    try:
        return sum(not word.legible for word in shards.record(position).words)
    except BadData:  # damage is verify's to report
        return 0


def overlaps(found: list[Census]) -> list[list[Any]]:
    """A row for each split: its distinct texts, and how many of them stand in each other split."""
    return [[row.name, len(row.texts), *(_common(row, other) for other in found)] for row in found]


def _common(row: Census, other: Census) -> str:
    if row is other:
        return ""
    n = shared(row, other)
    return f"{n:,} ({100 * n / max(1, len(row.texts)):.1f} %)"


def shared(one: Census, other: Census) -> int:
    """How many distinct case-folded texts of `one` stand in `other` too."""
    return len(one.texts.keys() & other.texts.keys())


def rejects(folder: Path, examples: int = 3) -> list[tuple[str, int, list[str]]]:
    """(reason, rows, the first few of them in words) of a split, most frequent reason first."""
    counts: Counter[str] = Counter()
    found: dict[str, list[str]] = {}
    for row, reason, origin, detail in manifest.ledger(folder):
        counts[reason] += 1
        if counts[reason] <= examples:
            found.setdefault(reason, []).append(f"row {row}: {origin} {detail}".rstrip())
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    return [(reason, count, found[reason]) for reason, count in ordered]
