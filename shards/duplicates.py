"""Duplicates between two splits: what stands in both, and which sample of a pair had better be left out.

bytes   the same encoded image, whatever its label
pixels  the same label, and the same grey 32x100 canvas
near    the same label, and canvases that correlate above 0.88

Labels are compared case-folded and by their letters and digits alone. Short words include chance matches,
and another crop of the same word escapes: the counts are neither upper nor lower bounds.
"""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from shards import manifest, written
from shards.engines.plain import Engine
from shards.errors import BadData
from shards.image import ImageSpec
from shards.read import Shards

FORMAT = 1
FILE = "duplicates.jsonl"
ALIKE = 0.88  # correlation above which two canvases of one label count as the same picture
CANVAS = ImageSpec(height=32, width=100, channels="grey", fit="stretch", resample="bilinear")
ROWS = 1024  # of a label's samples that are correlated together with all of the other side
AT_ONCE = 4096  # canvases decoded together
KINDS = ("bytes", "pixels", "near")
Groups = dict[str, list[int]]  # compared label -> positions


@dataclass(frozen=True, slots=True)
class Named:
    """A sample, so that it is found again: data set, split, row of the listing, sha256 of its image."""

    name: str
    split: str
    row: int
    uid: str
    sha256: str
    origin: str
    text: str | None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A sample to leave out, and the one it repeats, which stays."""

    drop: Named
    keep: Named
    kind: str
    correlation: float
    format: int = FORMAT


@dataclass(slots=True)
class Side:
    """One split with its positions by compared label."""

    shards: Shards
    groups: Groups = field(default_factory=dict)

    def __post_init__(self) -> None:
        for position, text in enumerate(self.shards.texts()):
            if text and (label := compared(text)):
                self.groups.setdefault(label, []).append(position)


@dataclass(slots=True)
class Match:
    """The sample of the other side that one repeats most closely."""

    other: int
    kind: str
    correlation: float


@dataclass(slots=True)
class Comparison:
    """What was found between two splits. pairs: how many canvases were correlated with each other."""

    duplicates: list[Duplicate]
    pairs: int

    def counts(self) -> list[int]:
        """Samples to leave out, by kind."""
        kinds = Counter(duplicate.kind for duplicate in self.duplicates)
        return [kinds[kind] for kind in KINDS]


def compared(text: str) -> str:
    """The label by which samples are compared; one without letters and digits stands for itself."""
    folded = text.casefold()
    return "".join(filter(str.isalnum, folded)) or folded.strip()


def compare(drop: Side, keep: Side, near: bool = True, say: Callable[[str], None] = print) -> Comparison:
    """One duplicate for every sample of `drop` that stands in `keep`; near=False compares bytes alone."""
    found = {one: Match(other, "bytes", 1.0) for one, other in _equal_bytes(drop.shards, keep.shards)}
    pairs, labels = 0, sorted(drop.groups.keys() & keep.groups.keys()) if near else []
    for done, block in _blocks(labels, drop.groups, keep.groups):
        ours, theirs = (_Canvases(side, block) for side in (drop, keep))
        for label in block:
            pairs += _match(ours.of(label), theirs.of(label), found)
        say(f"{done} of {len(labels)} labels, {pairs} pairs compared, {len(found)} found")
    return Comparison([_named(drop.shards, keep.shards, i, found[i]) for i in sorted(found)], pairs)


def _equal_bytes(one: Shards, other: Shards) -> Iterator[tuple[int, int]]:
    """(position, first position in the other) of images with the same sha256."""
    ours, theirs = (np.ascontiguousarray(shards.column("image_sha256")) for shards in (one, other))
    mine, yours = (hashes.view("<u8")[:, 0] for hashes in (ours, theirs))  # eight bytes find candidates
    where: dict[bytes, int] = {}
    for place in np.flatnonzero(np.isin(yours, mine)):
        where.setdefault(theirs[place].tobytes(), int(place))
    for place in np.flatnonzero(np.isin(mine, yours)):
        if (equal := where.get(ours[place].tobytes())) is not None:
            yield int(place), equal


def _blocks(labels: list[str], *groups: Groups) -> Iterator[tuple[int, list[str]]]:
    """(labels so far, labels) in blocks of about AT_ONCE samples."""
    block, size = [], 0
    for done, label in enumerate(labels, 1):
        block.append(label)
        size += sum(len(group[label]) for group in groups)
        if size >= AT_ONCE or done == len(labels):
            yield done, block
            block, size = [], 0


@dataclass(slots=True)
class _Group:
    """Samples of one label: positions [n], canvases uint8 [n,3200], and these standardised, float32."""

    positions: np.ndarray
    canvases: np.ndarray
    unit: np.ndarray


class _Canvases:
    """The canvases of a block of labels. Damaged samples are left out: that is a fault, not a duplicate."""

    def __init__(self, side: Side, block: list[str]) -> None:
        positions = np.concatenate([side.groups[label] for label in block])
        read = Engine(side.shards, CANVAS).read(positions)
        sound = ~np.isin(np.arange(len(positions)), list(read.damage))
        ends = np.cumsum([len(side.groups[label]) for label in block])
        self._ranges = dict(zip(block, zip([0, *ends[:-1]], ends, strict=True), strict=True))
        self._positions, self._sound = positions, sound
        self._pixels = read.pixels.reshape(len(positions), -1)

    def of(self, label: str) -> _Group:
        """The sound samples of a label. A flat canvas has no correlation with anything: zeros."""
        rows = np.arange(*self._ranges[label])
        rows = rows[self._sound[rows]]
        pixels = self._pixels[rows]
        unit = pixels - pixels.mean(1, keepdims=True, dtype=np.float32)
        unit /= np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-6)
        return _Group(self._positions[rows], pixels, unit)


def _match(ours: _Group, theirs: _Group, found: dict[int, Match]) -> int:
    """Adds what is alike among the samples of one label; the number of pairs compared."""
    where: dict[bytes, int] = {}
    for place, canvas in enumerate(theirs.canvases):
        where.setdefault(canvas.tobytes(), place)
    for start in range(0, len(ours.positions) if len(theirs.positions) else 0, ROWS):
        correlations = ours.unit[start : start + ROWS] @ theirs.unit.T
        for row, (place, best) in enumerate(zip(correlations.argmax(1), correlations.max(1), strict=True)):
            position = int(ours.positions[start + row])
            same = where.get(ours.canvases[start + row].tobytes())
            if same is not None:
                found.setdefault(position, Match(int(theirs.positions[same]), "pixels", 1.0))
            elif best > ALIKE:
                found.setdefault(position, Match(int(theirs.positions[place]), "near", round(float(best), 4)))
    return len(ours.positions) * len(theirs.positions)


def _named(drop: Shards, keep: Shards, position: int, match: Match) -> Duplicate:
    return Duplicate(_name(drop, position), _name(keep, match.other), match.kind, match.correlation)


def _name(shards: Shards, position: int) -> Named:
    content, uid = shards.manifests[0], int(shards.uids[position])
    return Named(
        name=content.name,
        split=content.split,
        row=manifest.split_uid(uid)[1],
        uid=f"{uid:016x}",
        sha256=shards.sha256(position),
        origin=shards.record(position).origin,
        text=shards.text(position),
    )


def save(path: Path, found: list[Duplicate]) -> None:
    """One JSON line for each duplicate."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written.write_bytes(path, b"".join(written.canonical(asdict(one)) + b"\n" for one in found))


def load(path: Path) -> list[Duplicate]:
    """What `save` wrote, from the file or from the folder that holds it; BadData names file and line."""
    path = path / FILE if path.is_dir() else path
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise BadData(
            f"{path}: no list of duplicates ({error.strerror}); shards.verify out= writes it"
        ) from None
    return [_read(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line]


def _read(line: bytes, where: str) -> Duplicate:
    try:
        raw = json.loads(line)
        one = Duplicate(Named(**raw.pop("drop")), Named(**raw.pop("keep")), **raw)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BadData(f"{where}: not a line that shards.verify wrote ({error!r})") from None
    if one.format != FORMAT:
        raise BadData(f"{where}: format {one.format}, this version reads {FORMAT}")
    return one
