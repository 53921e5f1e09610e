"""Text lines labelled by the codes of an alphabet file, as YCG09's Chinese lines and other sets are listed.

python -m ingest.shard source=ycg09 root=DIR alphabet=char_std_5990.txt base=0 split=train,test out=DIR
python -m ingest.shard source=ycg09 root=DIR alphabet=keys.txt base=1 labels={split}.txt split=dev out=DIR

    images/20456343_4045240981.jpg                                 the images; images=FOLDER, below root
    20456343_4045240981.jpg 89 201 241 178 19 94 19 22 26 656      data_train.txt or train.txt, ...
    的                                                             the alphabet, one character a line

The label is the text that the codes spell. Two kinds of alphabet are about: char_std_5990.txt has the blank's
place as its line 0 (base=0), alphabet_decode_5990.txt leaves it out (base=1). A character that stands there
twice is the same text under either code.
"""

import hashlib
import re
from dataclasses import dataclass

from ingest.labels import Label
from ingest.lines import Lines
from ingest.listing import existing, relative, word_sample
from ingest.trees import Folder
from shards import alphabet
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Sample
from shards.written import digest

GIVES = "lines"
EXPECTS = "images/, data_train.txt or the like, and an alphabet file"
LICENCE = "not established (YCG09); other sets in this layout keep their own"
LISTS = {
    "train": ("data_train.txt", "train.txt"),
    "val": ("dev.txt",),
    "test": ("data_test.txt", "test.txt"),
}
SPLIT = "{split}"
NAME = rb"(?!\.\.?[/\\ ])[^\s/\\:]+"
ROW = rb"(?:\.[/\\])?(?:" + NAME + rb"[/\\])*" + NAME + rb"(?: 0*[1-9]\d{0,6})+"
EXPECTED = "IMAGE CODE CODE ..., codes from 1 (0 is the blank)"
AT_ONCE = 4096  # lines whose codes are looked at together
SHOWN = 10  # repeated characters


@dataclass(frozen=True)
class Settings:
    """Which files make the set."""

    alphabet: str = ""  # the file with a character per line: below root, or an absolute path
    base: str = ""  # 0: line 0 is the blank's place, line k is code k; 1: the first line is code 1
    labels: str = ""  # the list below root, {split} in it = the split; empty: data_train.txt, train.txt, ...
    images: str = "images"  # the folder below root where the list's paths begin; empty: root itself


class Source:
    """One row per line of the list. The list is mapped, 8 bytes per row are held in memory."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        base, self.notes = Folder(existing(root)), []
        self.images = Folder(
            base.path / relative(settings.images, "images") if settings.images else base.path
        )
        if not self.images.path.is_dir():
            raise BadData(f"images={settings.images}: no such folder below {root}")
        self.per_split = not settings.labels or SPLIT in settings.labels
        listed = relative(settings.labels.replace(SPLIT, split), "labels") if settings.labels else ""
        name = listed or self._list(base, split)
        self.characters = self._alphabet(base, settings)
        try:
            listing = base.mapped(name)
        except OSError as error:
            raise BadData(f"{base.place(name)}: no readable list ({error.strerror or error})") from None
        self.rows = Lines(listing, base.place(name), ROW, EXPECTED)
        _refuse_beyond(self.rows, len(self.characters), settings)
        self.options: dict[str, object] = {
            "listing": hashlib.sha256(listing.data).hexdigest(),
            "alphabet": digest(self.characters),
        }

    def _list(self, base: Folder, split: str) -> str:
        """The name of the split's list; where there are two, the first, and the notes say so."""
        if split not in LISTS:
            raise BadSettings(f"{unknown('split', split, list(LISTS))}; labels=FILE names a list of its own")
        found = [name for name in LISTS[split] if (base.path / name).is_file()]
        if not found:
            wanted = " or ".join(LISTS[split])
            raise BadData(f"root={base.path}: no list of split={split}; expected {wanted}, or labels=FILE")
        others = "".join(f"; {name} is there too, labels={name} takes it" for name in found[1:])
        self.notes.append(f"the list is {found[0]}{others}")
        return found[0]

    def _alphabet(self, base: Folder, settings: Settings) -> str:
        if not settings.alphabet:
            raise BadSettings(
                "alphabet=FILE names the file with the characters, one a line, and base=0|1 how"
            )
        characters = alphabet.read(base.path / settings.alphabet, settings.base, "base")
        twice = alphabet.repeated(characters)
        some = ", ".join(
            f"{c!r} (codes {', '.join(map(str, codes))})" for c, codes in list(twice.items())[:SHOWN]
        )
        more = ", ..." if len(twice) > SHOWN else ""
        said = f"the alphabet has {len(characters)} codes; characters that have several: {len(twice)}"
        self.notes.append(said + (f", {some}{more}" if twice else ""))
        return characters

    def __len__(self) -> int:
        return len(self.rows)

    def group(self, row: int) -> str:
        """What a row shares with others: its path."""
        return self.rows[row].partition(" ")[0]

    def read(self, row: int) -> Sample:
        """The image as published, labelled with the text of its codes; Reject: it is missing or damaged."""
        name, *codes = self.rows[row].split(" ")
        text = "".join(self.characters[int(code) - 1] for code in codes)
        return word_sample(self.images, Label(relative(name, self.rows.name), text, row + 1))


def _refuse_beyond(rows: Lines, highest: int, settings: Settings) -> None:
    """A code that the alphabet does not have is a BadData: the alphabet or its base is another."""
    for first in range(0, len(rows), AT_ONCE):
        stop = min(first + AT_ONCE, len(rows))
        codes = set(re.findall(rb" (\d+)", rows.data[rows.starts[first] : rows.starts[stop]].tobytes()))
        if max(map(int, codes)) <= highest:
            continue
        for row in range(first, stop):
            code = max(map(int, rows[row].split(" ")[1:]))
            if code > highest:
                raise BadData(
                    f"{rows.name}:{row + 1}: code {code} of {rows[row]!r}, but {settings.alphabet} with "
                    f"base={settings.base} ends at {highest}: another alphabet, or the other base"
                )
