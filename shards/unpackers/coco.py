"""COCO's json: scenes with the polygons and texts of their words.

    images/<split>/000000/000000017.jpg
    annotations/<split>.json

An annotation has the polygon as it is (segmentation), its area, the box clipped to the image, the raw text
(null = not transcribed) and, for words that are not legible, iscrowd and ignore 1: COCO's tools then count
neither hits nor misses there.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shards.geometry import area
from shards.read import Shards
from shards.sample import Sample, Word
from shards.unpackers import LeftOut, box, name_of, outlined, write

CATEGORY = {"id": 1, "name": "text", "supercategory": "text"}


@dataclass(frozen=True)
class Settings:
    """Nothing to set."""


def places(split: str) -> list[str]:
    """The images and the file of their annotations."""
    return [f"images/{split}", f"annotations/{split}.json"]


def again(out: Path, splits: list[str]) -> str:
    """No source reads it yet."""
    return ""


class Unpacker:
    """Writes one split; the annotations are kept until all are known."""

    def __init__(self, settings: Settings, work: Path, split: str, shards: Shards) -> None:
        content = shards.manifests[0]
        self.folder, self.file = work / "images" / split, work / "annotations" / f"{split}.json"
        self._whole: dict[str, Any] = {
            "info": {"description": f"{content.name} {split}", "version": content.digest},
            "licenses": [{"id": 1, "name": content.licence, "url": ""}],
            "categories": [CATEGORY],
            "images": [],
            "annotations": [],
        }

    def add(self, row: int, sample: Sample) -> list[LeftOut]:
        """Left: no_polygon. A word whose box has no area in the image is left out."""
        words, left_out = outlined(sample)
        name, (width, height) = name_of(row, sample.suffix), sample.record.size
        write(self.folder, name, sample)
        image = {"id": row, "file_name": name, "width": width, "height": height, "license": 1}
        self._whole["images"].append(image)
        annotations = self._whole["annotations"]
        annotations += [
            {"id": number, "image_id": row, **_annotation(word, sample.record.size)}
            for number, word in enumerate(words, len(annotations) + 1)  # 0 would count as no match
        ]
        return left_out

    def close(self) -> None:
        """One file for the split."""
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with open(self.file, "w", encoding="utf-8") as file:
            json.dump(self._whole, file, ensure_ascii=False)


def _annotation(word: Word, size: tuple[int, int]) -> dict[str, Any]:
    polygon = word.polygon or ()
    left, top, right, bottom = box(polygon, size) or (0.0, 0.0, 0.0, 0.0)
    ignored = int(not word.legible)
    return {
        "category_id": CATEGORY["id"],
        "segmentation": [[value for point in polygon for value in point]],
        "area": abs(area(polygon)),
        "bbox": [left, top, right - left, bottom - top],
        "iscrowd": ignored,
        "ignore": ignored,
        "text": word.text,
    }
