"""Tars that others wrote for webdataset: word images and their texts.

python -m ingest.shard source=webdataset root=DIR tars={split}-*.tar split=train,val out=DIR
python -m ingest.shard source=webdataset root=DIR tars=*.tar image=webp,jpg label=cls out=DIR
python -m ingest.shard source=webdataset root=DIR label=json json_key=words.0.text out=DIR

    train-000000.tar        uncompressed
    a/0001.jpg              a sample is what has one name up to the first dot, in any order of members
    a/0001.txt              its text

Which member is the image and which the text is said by what stands behind that dot. A text is a member of its
own, or a string in a member of JSON, by the keys and places that lead to it. Headers are read once, at the
start; then each row is read by itself.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from ingest.images import published
from ingest.listing import existing, relative
from ingest.sources import Reject
from ingest.tarball import files
from shards.errors import BadData, BadSettings
from shards.sample import Record, Sample, Word
from shards.storage import copied
from shards.written import digest

GIVES = "words"
EXPECTS = "tars of images with a text or JSON member each"
LICENCE = "not stated: that of the set inside"
SPLIT = "{split}"
JSON = "json"


@dataclass(frozen=True)
class Settings:
    """Which tars, and which of a sample's members count."""

    tars: str = "*.tar"  # a pattern of their names below root, {split} in it = the split
    image: list[str] = field(
        default_factory=lambda: ["jpg", "jpeg", "png"]
    )  # endings; the first that is there
    label: str = "txt"  # the ending of the text; json, or what ends in .json, is looked into
    json_key: str = ""  # in JSON: where the text stands, keys and places joined by dots: words.0.text


@dataclass(frozen=True, slots=True)
class Member:
    """Where a member begins in its tar, and how many bytes it has."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Row:
    """A sample by the number of its tar and its name; its image and its text, where they are there."""

    tar: int
    name: str
    image: Member | None
    label: Member | None


class Source:
    """One row per sample, tar after tar, sorted by name, in the order of their first members."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        self.settings, self.json = settings, settings.label.rpartition(".")[2] == JSON
        if not settings.image or self.json != bool(settings.json_key):
            given = f"image={','.join(settings.image)} label={settings.label} json_key={settings.json_key}"
            raise BadSettings(
                "image= names at least one ending, and json_key= where the text stands in a label=json, only "
                f"there; got {given}"
            )
        base = existing(root)
        pattern = relative(settings.tars.replace(SPLIT, split), "tars")
        found = sorted(path for path in base.glob(pattern) if path.is_file())
        if not found:
            raise BadData(f"root={root}: no tar there is called {pattern}")
        self.per_split = SPLIT in settings.tars
        self.names = [path.relative_to(base).as_posix() for path in found]
        self.tars = [copied(path) for path in found]
        self.rows = [row for number in range(len(self.tars)) for row in self._rows(number)]
        self.notes = [self._summary()]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def options(self) -> dict[str, object]:
        """Names, members and every text; read once, by the process that plans."""
        facts = []
        for row in self.rows:
            said = hashlib.sha256(self._bytes(row, row.label)).hexdigest() if row.label else None
            facts.append([self.names[row.tar], row.name, row.image and row.image.size, said])
        return {"listing": digest(facts), "label": self.settings.label, "json_key": self.settings.json_key}

    def group(self, row: int) -> str:
        """What a row shares with others: its name, in whichever tar."""
        return self.rows[row].name

    def read(self, row: int) -> Sample:
        """The image as published with its raw text; Reject: missing_image, missing_label, empty_label,
        not_utf8, not_json, or an image that cannot be stored.
        """
        one = self.rows[row]
        origin = f"{self.names[one.tar]}/{one.name}"
        if one.image is None:
            raise Reject("missing_image", origin, f"no .{' or .'.join(self.settings.image)}")
        if one.label is None:
            raise Reject("missing_label", origin, f"no .{self.settings.label}")
        text = _decoded(self._bytes(one, one.label), origin)
        text = _inside(text, self.settings.json_key, origin) if self.json else text
        if not text:
            raise Reject("empty_label", origin)
        found = published(self._bytes(one, one.image), origin)
        record = Record((Word(text),), found.size, origin, transcoded=found.transcoded)
        return Sample(found.image, found.suffix, record)

    def _bytes(self, row: Row, member: Member) -> bytes:
        with open(self.tars[row.tar], "rb") as file:
            return os.pread(file.fileno(), member.size, member.start)

    def _rows(self, number: int) -> Iterator[Row]:
        """The samples of a tar."""
        samples = _members(self.tars[number])
        for name, members in samples.items():
            image = next((members[ending] for ending in self.settings.image if ending in members), None)
            yield Row(number, name, image, members.get(self.settings.label))

    def _summary(self) -> str:
        bare = sum(row.image is None for row in self.rows)
        mute = sum(row.label is None for row in self.rows)
        return (
            f"{len(self.rows)} samples in {len(self.tars)} tars; {bare} have no image, {mute} no "
            f".{self.settings.label}"
        )


def _members(tar: Path) -> dict[str, dict[str, Member]]:
    """name -> {ending: member} of a tar; names are split, and endings compared, as webdataset does it."""
    from webdataset.tariterators import base_plus_ext  # imports torch: only those who read tars pay for it

    samples: dict[str, dict[str, Member]] = {}
    for path, start, size in files(tar):
        try:
            name, ending = base_plus_ext(path.decode())
        except UnicodeDecodeError as error:
            raise BadData(f"{tar}: the name of the member at byte {start} is not UTF-8 ({error})") from None
        if name is None or ending is None:
            continue
        members = samples.setdefault(name, {})
        if members.setdefault(ending.lower(), Member(start, size)).start != start:
            raise BadData(f"{tar}: member {path.decode()!r} at byte {start} is there already")
    return samples


def _decoded(data: bytes, origin: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Reject("not_utf8", origin, f"{error.reason} at byte {error.start} of the label") from None
    return text.removesuffix("\n").removesuffix("\r")


def _inside(text: str, keys: str, origin: str) -> str:
    """The string that keys lead to; what is not there, or is no string, is a Reject."""
    try:
        found: Any = json.loads(text)
        for key in keys.split("."):
            found = found[int(key) if isinstance(found, list) else key]
    except json.JSONDecodeError as error:
        raise Reject("not_json", origin, error.msg) from None
    except (LookupError, ValueError, TypeError):
        raise Reject("missing_label", origin, f"its JSON has no {keys}") from None
    if not isinstance(found, str):
        raise Reject("missing_label", origin, f"{keys} in its JSON is {found!r:.80}, not a text")
    return found
