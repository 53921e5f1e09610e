"""Every setting is explained where it is defined, and --help shows it."""

import importlib
from dataclasses import dataclass, field

import pytest

from shards import config, typed

ENTRIES = {
    "shards.verify": "shards.verify", "shards.show": "shards.show", "shards.unpack": "shards.unpack",
    "ingest.shard": "ingest.splits", "train.teacher": "train.workbench",
    "train.calibrate": "train.calibrate", "train.evaluation": "train.evaluation",
    "train.export": "train.export", "train.ngram": "train.ngram", "train.predict": "train.predict",
    "train.report": "train.report", "train.search": "train.search",
    "train.serve": "train.serve",
}  # fmt: skip


@pytest.mark.parametrize("entry", ENTRIES)
def test_every_setting_has_a_note(entry):
    rows = config.describe(importlib.import_module(ENTRIES[entry]).Settings)
    notes = {key: note.partition("] ")[2] if note.startswith("[") else note for key, _, _, note in rows}
    assert rows
    assert [key for key, note in notes.items() if not note] == []


@dataclass
class Wrapped:
    """A double with definitions as the formatter may leave them."""

    one: int = 1  # the first
    two: list[str] = field(
        default_factory=lambda: ["#"],
    )  # the second
    three: int | None = None  # the third
    four: int = 4


def test_the_comment_of_a_wrapped_definition_is_found():
    assert typed.comments(Wrapped) == {"one": "the first", "two": "the second", "three": "the third"}


@dataclass
class Changed(Wrapped):
    """A double that gives an inherited setting another default, and one another comment."""

    one: int = 2
    three: int | None = 4  # the last


def test_an_inherited_setting_keeps_its_comment_unless_it_gets_another():
    assert typed.comments(Changed) == {"one": "the first", "two": "the second", "three": "the last"}
