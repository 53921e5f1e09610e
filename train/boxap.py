"""Average precision of upright boxes, by pycocotools (extra `detect`): mAP50 and mAP50-95.

Up to 1,000 detections of a picture count (COCO's own figures stop at 100, but a page has more words), and
sizes are not told apart. Truths that do not count are crowds: what lies in them is left out.
Recall is sampled at COCO's 101 places; programs that integrate otherwise differ a little.
"""

import contextlib
import importlib.util
import io
from typing import Any

import numpy as np

from shards.errors import BadSettings
from train.scenes import Pool

MOST = 1000  # detections of a picture
EVERYWHERE = [0.0, 1e12]  # areas that count, in square pixels


def installed() -> bool:
    """Whether there is a pycocotools."""
    return importlib.util.find_spec("pycocotools") is not None


def average_precision(pool: Pool) -> dict[str, float]:
    """map50 and map50_95 of the boxes around outlines, as fractions; 0 where no truth counts."""
    try:
        from pycocotools.cocoeval import COCOeval
    except ImportError:
        raise BadSettings("mAP needs pycocotools: pip install 'ocr-distillery[detect]'") from None
    truths = _boxes(pool.truths.boxes(), pool.of_truth, pool.truths.counts > 0)
    for one, counted in zip(truths, pool.counted[pool.truths.counts > 0], strict=True):
        one["iscrowd"] = int(not counted)
    found = _boxes(pool.found.boxes(), pool.of_found, np.ones(len(pool.scores), bool))
    for one, score in zip(found, pool.scores, strict=True):
        one["score"] = float(score)
    with contextlib.redirect_stdout(io.StringIO()):
        judge = COCOeval(_indexed(truths, pool.n), _indexed(found, pool.n), "bbox")
        judge.params.maxDets, judge.params.areaRng, judge.params.areaRngLbl = [MOST], [EVERYWHERE], ["all"]
        judge.evaluate()
        judge.accumulate()
    precision = judge.eval["precision"][..., 0, 0, 0]  # [IoU .5, .55 ... .95, recall 0, .01 ... 1]; -1: none
    both = {"map50": precision[0].mean(), "map50_95": precision.mean()}
    return {name: float(max(0.0, value)) for name, value in both.items()}


def _boxes(boxes: np.ndarray, scenes: np.ndarray, which: np.ndarray) -> list[dict[str, Any]]:
    """COCO's annotations; an outline without corners is an empty box. Ids begin at 1: 0 means no match."""
    corners = np.where(np.isfinite(boxes), boxes, 0.0)[which]
    sides = corners[:, 2:] - corners[:, :2]
    rows = zip(corners.tolist(), sides.tolist(), scenes[which].tolist(), strict=True)
    shared = {"category_id": 1, "iscrowd": 0}
    return [
        {"id": i, "image_id": scene, "bbox": [*c[:2], *s], "area": s[0] * s[1], **shared}
        for i, (c, s, scene) in enumerate(rows, 1)
    ]


def _indexed(annotations: list[dict[str, Any]], n: int) -> Any:
    """A set of COCO of n pictures."""
    from pycocotools.coco import COCO

    made: Any = COCO()
    pictures = [{"id": i} for i in range(n)]
    made.dataset = {"images": pictures, "categories": [{"id": 1}], "annotations": annotations}
    made.createIndex()
    return made
