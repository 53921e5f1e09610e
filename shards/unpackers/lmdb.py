"""The LMDB of deep-text-recognition-benchmark: word images and labels, numbered from 1. Extra: lmdb.

<split>/data.mdb: num-samples, image-%09d (encoded image), label-%09d (UTF-8)
"""

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from shards.errors import BadSettings
from shards.read import Shards
from shards.sample import Sample
from shards.unpackers import Left, LeftOut, crop_text

COMMIT = 1000  # samples to a transaction
SPARE = 1 << 26  # bytes of map beyond three times the shards; pages are half full at worst


@dataclass(frozen=True)
class Settings:
    """Nothing to set."""


def places(split: str) -> list[str]:
    """One environment to a split."""
    return [split]


def again(out: Path, splits: list[str]) -> str:
    """How the environments are read."""
    return (
        f"python -m ingest.shard source=lmdb_pairs root={out} environments={{split}} "
        f"split={','.join(splits)} out=ANOTHER"
    )


class Unpacker:
    """Writes one split."""

    def __init__(self, settings: Settings, work: Path, split: str, shards: Shards) -> None:
        try:
            lmdb = import_module("lmdb")  # this module bears the same name
        except ImportError:
            raise BadSettings("to=lmdb needs the extra: pip install 'ocr-distillery[lmdb]'") from None
        room = sum(sum(shard.bytes.values()) for shard in shards.manifests[0].shards)
        (work / split).mkdir(parents=True)
        self._environment = lmdb.open(str(work / split), map_size=3 * room + SPARE, lock=False)
        self._waiting: list[tuple[bytes, bytes]] = []
        self._count = 0

    def add(self, row: int, sample: Sample) -> list[LeftOut]:
        """Left: scene, illegible, no_text."""
        text = crop_text(sample)
        if text is None:
            raise Left("no_text", "an environment without labels is none")
        self._count += 1
        self._waiting += [
            (f"image-{self._count:09d}".encode(), sample.image),
            (f"label-{self._count:09d}".encode(), text.encode()),
        ]
        if len(self._waiting) >= 2 * COMMIT:
            self._put()
        return []

    def _put(self) -> None:
        with self._environment.begin(write=True) as transaction:
            for key, value in self._waiting:
                transaction.put(key, value)
        self._waiting = []

    def close(self) -> None:
        """The count makes it whole."""
        self._waiting.append((b"num-samples", str(self._count).encode()))
        self._put()
        self._environment.sync(True)
        self._environment.close()
