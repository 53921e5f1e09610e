"""Word images and a list of their labels, as `ingest.shard source=folder` reads them.

    <split>/000000/000000017.jpg      <split>.tsv: path TAB label

A label holds no tab and no line end (contract 1), so the list holds every label as it is. A split without
any text has no list. Fonts, writers, groups and whether an image was transcoded stay behind.
"""

from dataclasses import dataclass
from pathlib import Path

from shards.read import Shards
from shards.sample import Sample
from shards.unpackers import Left, LeftOut, crop_text, name_of, write


@dataclass(frozen=True)
class Settings:
    """Nothing to set."""


def places(split: str) -> list[str]:
    """The images, and the list beside them."""
    return [split, f"{split}.tsv"]


def again(out: Path, splits: list[str]) -> str:
    """How the folder is read."""
    labels = "{split}.tsv" if (out / f"{splits[0]}.tsv").exists() else "none"
    return (
        f"python -m ingest.shard source=folder root={out} labels={labels} images={{split}} "
        f"split={','.join(splits)} out=ANOTHER"
    )


class Unpacker:
    """Writes one split."""

    def __init__(self, settings: Settings, work: Path, split: str, shards: Shards) -> None:
        self.folder = work / split
        self.folder.mkdir(parents=True)
        self._list = None
        if (shards.column("label_size") >= 0).any():
            self._list = open(work / f"{split}.tsv", "w", encoding="utf-8", newline="\n")  # noqa: SIM115

    def add(self, row: int, sample: Sample) -> list[LeftOut]:
        """Left: scene, illegible, no_text."""
        text, name = crop_text(sample), name_of(row, sample.suffix)
        if self._list is not None:
            if text is None:
                raise Left("no_text", "the list cannot tell it from an empty label")
            self._list.write(f"{name}\t{text}\n")
        write(self.folder, name, sample)
        return []

    def close(self) -> None:
        """The list is whole."""
        if self._list is not None:
            self._list.close()
