"""Contract 1: what a sample is. One schema for every task, for labels and for predictions.

A word crop has one word without a polygon; a scene has many words with one each. Labels are raw:
charset, case and length are policies of the task, applied when reading.
"""

import json
import math
import unicodedata
from dataclasses import dataclass, fields

from shards.errors import BadData

FORMAT = 1
SUFFIXES = ("jpg", "png")
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Word:
    """One word. text None = not transcribed; polygon = at least 4 (x, y) in source pixels, or None for a
    crop.
    """

    text: str | None
    polygon: tuple[Point, ...] | None = None
    legible: bool = True
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Meta:
    """What is known beside the words; samples of one `group` never stand on two sides of a split."""

    group: str | None = None
    language: str | None = None
    script: str | None = None
    writer: str | None = None
    font: str | None = None
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """All that is known of an image but its pixels. size = (width, height); origin = where the listing found
    it.
    """

    words: tuple[Word, ...]
    size: tuple[int, int]
    origin: str
    meta: Meta = Meta()
    transcoded: bool = False
    format: int = FORMAT


@dataclass(frozen=True, slots=True)
class Sample:
    """An encoded image (`suffix` jpg or png, bytes as published) and its record."""

    image: bytes
    suffix: str
    record: Record


def validate(record: Record) -> Record:
    """The record itself, or a BadData whose message names the field, the value and the rule."""
    if record.format != FORMAT:
        raise BadData(f"record format {record.format!r}, this version reads {FORMAT}")
    width, height = record.size
    if width < 1 or height < 1:
        raise BadData(f"size {record.size}: width and height must be at least 1")
    for place, word in enumerate(record.words):
        _validate_word(place, word)
    return record


def _validate_word(place: int, word: Word) -> None:
    if word.text is not None:
        bad = [c for c in word.text if unicodedata.category(c) in ("Cc", "Cs")]
        if bad:
            raise BadData(f"word {place}: control character {bad[0]!r} in label {word.text!r}")
    if word.polygon is not None:
        if len(word.polygon) < 4:
            raise BadData(f"word {place}: polygon of {len(word.polygon)} points, at least 4 are needed")
        if not all(math.isfinite(v) for point in word.polygon for v in point):
            raise BadData(f"word {place}: polygon {word.polygon} is not finite")


def record_to_json(record: Record) -> bytes:
    """The record as utf-8 JSON: fields that hold their default are left out, key order is fixed."""
    out = {"format": record.format, "size": list(record.size), "origin": record.origin}
    out["words"] = [_given(word) for word in record.words]
    if record.meta != Meta():
        out["meta"] = _given(record.meta)
    if record.transcoded:
        out["transcoded"] = True
    return json.dumps(out, ensure_ascii=False, separators=(",", ":")).encode()


def _given(value: Word | Meta) -> dict[str, object]:
    pairs = {f.name: getattr(value, f.name) for f in fields(value)}
    return {k: v for k, v in pairs.items() if k == "text" or v != type(value).__dataclass_fields__[k].default}


def record_from_json(data: bytes) -> Record:
    """Reads `record_to_json`'s bytes; anything else is a BadData that says what is wrong."""
    try:
        raw = json.loads(data)
        words = tuple(_word(word) for word in raw.pop("words"))
        size = raw.pop("size")
        meta = Meta(**raw.pop("meta", {}))
        record = Record(words=words, size=(int(size[0]), int(size[1])), meta=meta, **raw)
    except (ValueError, TypeError, KeyError, AttributeError, IndexError) as error:
        raise BadData(f"not a record: {error!r}") from None
    return validate(record)


def _word(raw: dict) -> Word:
    polygon = raw.pop("polygon", None)
    return Word(polygon=None if polygon is None else tuple((float(x), float(y)) for x, y in polygon), **raw)


def to_members(sample: Sample) -> dict[str, bytes]:
    """The sample as tar members: extension -> bytes."""
    if sample.suffix not in SUFFIXES:
        raise BadData(f"image suffix {sample.suffix!r}, stored are {SUFFIXES}")
    return {sample.suffix: sample.image, "json": record_to_json(validate(sample.record))}


def from_members(members: dict[str, bytes]) -> Sample:
    """The inverse of `to_members`."""
    suffix = next((s for s in SUFFIXES if s in members), None)
    if suffix is None or "json" not in members:
        raise BadData(f"a sample needs json and one of {SUFFIXES}, found {sorted(members)}")
    return Sample(members[suffix], suffix, record_from_json(members["json"]))
