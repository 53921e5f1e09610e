"""Where words stand on the grid of a feature map, and what a map says inside a box.

Boxes are (left, top, right, bottom) in canvas pixels; a map covers the canvas, its rows are y, its columns x.
Letters: N samples, M words, K boxes, H W canvas pixels, h w of a map, D channels, S bins along a side.
"""

from typing import Any

import torch
from torch import Tensor

from distill.lesson import Lesson
from distill.methods import Sides
from shards.errors import BadSettings
from shards.sample import Record


def check(method: str, sides: Sides) -> None:
    """Refuses a task that does not say where words stand."""
    if not hasattr(sides.task.encode([Record((), (1, 1), "")]), "boxes"):
        raise BadSettings(
            f"method={method}: looks where words stand, and this task does not say so; it is for task=boxes"
        )


def covered(boxes: Tensor, canvas: tuple[float, float], grid: tuple[int, int]) -> Tensor:
    """Which cells of a grid (h, w) each of the boxes [N,M,4] overlaps: bool [N,M,h,w]; canvas: (H, W)."""
    inside = []
    for axis, (pixels, count) in enumerate(zip(canvas, grid, strict=True)):
        low, high = boxes[..., 1 - axis, None], boxes[..., 3 - axis, None]
        edges = torch.arange(count + 1, device=boxes.device) * (pixels / count)
        inside.append((low < edges[1:]) & (high > edges[:-1]) & (low < high))
    rows, columns = inside
    return rows[..., None] & columns[..., None, :]


def words(lesson: Lesson, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Cells of each word that is to be found, bool [N,M,h,w], and cells without any word, bool [N,1,h,w].

    A word that is not to be judged is neither of both.
    """
    targets: Any = lesson.batch.targets
    stride = lesson.batch.images.shape[2] / grid[0]  # the grid may be the whole canvas's, or end at an edge
    found = covered(targets.boxes, (stride * grid[0], stride * grid[1]), grid)
    there = (targets.real | targets.ignored)[..., None, None]
    return found & targets.real[..., None, None], ~(found & there).any(1, keepdim=True)


def objects(lesson: Lesson, grid: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """1 where a word is to be found, else 0, and 1 where there is none at all: float [N,1,h,w] each."""
    each, nowhere = words(lesson, grid)
    return each.any(1, keepdim=True).float(), nowhere.float()


def pooled(feature: Tensor, boxes: Tensor, canvas: tuple[int, int], bins: int) -> Tensor:
    """What maps [N,D,h,w] hold in boxes [N,K,4], one value in the middle of each bin: [N,K,D,S,S].

    Interpolated between cells, as ROIAlign (He et al. 2017) with one sample to a bin; canvas: (H, W). Two
    products of matrices, so that its gradient is the same twice on every device.
    """
    x, y = (_shares(boxes, axis, canvas[1 - axis], feature.shape[3 - axis], bins) for axis in (0, 1))
    return torch.einsum("nksh,ndhw,nktw->nkdst", y, feature, x)


def _shares(boxes: Tensor, axis: int, pixels: int, count: int, bins: int) -> Tensor:
    """Where the middles of bins lie between cells along x (axis 0) or y: [N,K,S,count], rows sum to 1."""
    low, high = boxes[..., axis, None], boxes[..., axis + 2, None]
    at = (torch.arange(bins, device=boxes.device) + 0.5) / bins
    place = ((low + at * (high - low)) * (count / pixels) - 0.5).clamp(0, count - 1)
    return (1 - (place[..., None] - torch.arange(count, device=boxes.device)).abs()).clamp(min=0)


def grid(feature: Tensor) -> tuple[int, int]:
    """(h, w) of a map [N,D,h,w]."""
    return feature.shape[2], feature.shape[3]
