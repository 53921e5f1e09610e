"""card.json of a cache: the fingerprint of what decides what a teacher saw and what is kept of it.

A reader compares it with what it is about to do and refuses any difference, naming the field and both
values; there is no mode that only warns. Versions of libraries are provenance: those of torch, numpy and this
code are not compared, those that decode stand in `engine`, and where they differ canvases are
(distill.canvases). A recording goes on only with the very engine that it was begun with.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from distill.codecs import Kept
from distill.taps import Tap
from shards import augment, config, lookup, written
from shards.errors import BadData
from shards.image import ImageSpec
from shards.loader import Loader
from shards.manifest import Manifest
from train.headings import MAIN

FORMAT = 3
NAME = "card.json"


@dataclass(frozen=True, slots=True)
class Teacher:
    """weights: sha256 of the tensors; model: its name and settings; precision of its forward pass."""

    weights: str
    model: dict[str, Any]
    precision: str


@dataclass(frozen=True, slots=True)
class Data:
    """One recorded split: identity, sha256 over all shards, rows of its listing, how they are cut; views."""

    id: int
    split: str
    digest: str
    rows: int
    rows_per_shard: int
    chunk_rows: int
    views: int


@dataclass(frozen=True, slots=True)
class Beam:
    """How best readings were found: so many of each sample, from a beam of that width; 0 = none were."""

    count: int = 0
    width: int = 0


@dataclass(frozen=True, slots=True)
class Card:
    """frames L, classes C; grids: (h, w) of the levels that cells stand on, none for strings; charset:
    characters, fold, blank; batch: samples per forward pass when recording.

    population: what partners of mosaics are drawn from (shards.mosaic), empty without mosaics;
    data: key (`Manifest.key`) -> Data; views: of the split that is trained on, others may have fewer; kinds:
    of answers (distill.kinds); taps: features; canvases: uid -> hash of its canvas in each view, pictures:
    sha256 of the file that holds them (distill.canvases).
    """

    teacher: Teacher
    task: dict[str, Any]
    charset: dict[str, Any]
    frames: int
    classes: int
    data: dict[str, Data]
    image: ImageSpec
    engine: str
    augment: augment.Settings
    augment_code: str
    population: str
    views: int
    batch: int
    kinds: list[str]
    codec: Kept
    nbest: Beam
    taps: dict[str, Tap]
    canvases: dict[str, list[str]]
    pictures: str
    grids: list[list[int]] = field(default_factory=list)
    provenance: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @property
    def digest(self) -> str:
        """sha256 of what is compared; stands in every done mark."""
        return written.digest(compared(self))

    def make_codec(self) -> Any:
        """The codec that wrote the cache."""
        return lookup.find("distill.codecs", self.codec.name).Codec(self.frames, self.classes, self.codec)


def load(path: Path) -> Card:
    """Reads a card; another layout is a BadData that names the file."""
    if not path.exists():
        raise BadData(f"{path}: no such file, so no cache; distill/record.py out={path.parent} makes one")
    raw = written.read_json(path)
    if raw.get("format") != FORMAT:
        raise BadData(f"{path}: format {raw.get('format')!r}, this version reads {FORMAT}")
    if raw.pop("digest", None) != written.digest(_without_provenance(raw)):
        raise BadData(f"{path}: damaged, its content is not that of its digest; fetch or record it anew")
    try:
        parts = {
            "teacher": Teacher(**raw.pop("teacher")),
            "data": {key: Data(**value) for key, value in raw.pop("data").items()},
            "image": ImageSpec(**raw.pop("image")),
            "augment": augment.Settings(**raw.pop("augment")),
            "codec": Kept(**raw.pop("codec")),
            "nbest": Beam(**raw.pop("nbest")),
            "taps": {name: Tap(**value) for name, value in raw.pop("taps").items()},
        }
        return Card(**parts, **raw)
    except (KeyError, TypeError, AttributeError) as error:
        raise BadData(f"{path}: not a cache's card ({error})") from None


def save(path: Path, card: Card) -> None:
    """Writes card.json, with its own digest: what was changed in it afterwards is told."""
    written.write_json(path, {**asdict(card), "digest": card.digest})


def compared(card: Card) -> dict[str, Any]:
    """The fields of a card that a reader compares, as plain values."""
    return _without_provenance(config.plain(card))


def check(where: str | Path, card: Card, doing: dict[str, Any]) -> None:
    """Refuses if a field of the card is not what is about to be done. doing: {field: value or dataclass}."""
    known = config.plain(card)
    for name, value in doing.items():
        kept, now = _flat(known[name], name), _flat(config.plain(value), name)
        for key in sorted(kept.keys() | now.keys()):
            if kept.get(key) != now.get(key):
                raise BadData(
                    f"{where}: {key} is {_short(kept.get(key))} in the cache, {_short(now.get(key))} here"
                )


def check_data(where: str | Path, card: Card, manifests: Iterable[Manifest]) -> None:
    """Refuses data that was not recorded or whose bytes changed; recorded sets beyond it are fine."""
    recorded = {data.id: key for key, data in card.data.items()}
    for content in manifests:
        key = content.key
        if content.dataset_id not in recorded:
            raise BadData(f"{where}: data is {', '.join(card.data)} in the cache, {key} here")
        kept = card.data[recorded[content.dataset_id]]
        if kept.digest != content.digest:
            raise BadData(f"{where}: data.{key}.digest is {kept.digest} in the cache, {content.digest} here")


def engine_of(loader: Loader) -> str:
    """Where pixels come from: the engine's triple, and the device that augments."""
    return f"{loader.engine.triple}, augmented on {loader.device.type}"


def member_of(engine: str) -> str:
    """The member of shards.engines that such an `engine_of` names: what data.engine has to be."""
    return engine.partition("/")[0]


def score_of(config: dict[str, Any]) -> dict[str, str]:
    """How good a teacher's config.json says it is, and on which data (their digest); {} if it does not."""
    metrics, measured = config.get("metrics", {}), config.get("measured", {}).get("digest")
    name = next((heading.name for heading in MAIN if heading.name in metrics), "")
    return {name: f"{metrics[name]:.6f}", "measured": measured} if name and measured else {}


def _without_provenance(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name != "provenance"}


def _flat(tree: Any, path: str) -> dict[str, Any]:
    if not isinstance(tree, dict) or not tree:
        return {path: tree}
    return {k: v for key, value in tree.items() for k, v in _flat(value, f"{path}.{key}").items()}


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:297]}..."
