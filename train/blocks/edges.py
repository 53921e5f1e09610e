"""Images of several edges: each is answered at its own, whatever stands beside it in the batch.

Letters: N samples, n of one edge, L time steps or cells of the whole canvas, l of an edge, C classes or
terms, H W pixels.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from shards.image import ImageSpec
from train.models import Output

NOTHING = -14.0  # the logit of a cell that no image reaches: a probability below a millionth
Grids = Sequence[tuple[int, int]]


def read(
    of_edge: Callable[[Tensor, Tensor], Output], image: ImageSpec, steps: np.ndarray, images: Tensor,
    widths: Tensor | None,
) -> Output:  # fmt: skip
    """What `of_edge` answers, in steps, to images [N,C,H,W]; steps: how many of the L belong to so many
    columns, by their number.
    """
    spans = spans_of(images, widths, image)
    own = torch.from_numpy(steps[spans]).to(images.device)
    parts = [(rows, of_edge(some, own[rows])) for rows, some in cut(images, spans, image)]
    if len(parts) == 1:
        return parts[0][1]
    back = torch.cat([rows for rows, _ in parts]).argsort()
    return Output(torch.cat([part.logits for _, part in parts])[back], steps=own)


def find(
    of_edge: Callable[[Tensor], Output], image: ImageSpec, grids: Grids, images: Tensor,
    widths: Tensor | None,
) -> Output:  # fmt: skip
    """What `of_edge` answers, in cells of narrower grids, on the grids of the whole canvas: the cells beyond
    say that nothing is there.
    """
    groups = cut(images, spans_of(images, widths, image), image)
    parts = [of_edge(own) for _, own in groups]
    back = torch.cat([rows for rows, _ in groups]).argsort()
    logits = torch.cat([_widened(part.logits, part.grids, grids, NOTHING) for part in parts])
    marks = [torch.ones_like(part.logits[..., :1], dtype=torch.bool) for part in parts]
    there = torch.cat([_widened(m, p.grids, grids, 0) for m, p in zip(marks, parts, strict=True)])[..., 0]
    features = parts[0].features if len(parts) == 1 else {}
    return Output(logits[back], tuple(grids), features, there=there[back])


def spans_of(images: Tensor, widths: Tensor | None, image: ImageSpec) -> np.ndarray:
    """How many columns of its canvas each image takes, int64 [N]; without widths, all of them."""
    return np.full(len(images), image.width) if widths is None else widths.cpu().numpy()


def cut(images: Tensor, spans: np.ndarray, image: ImageSpec) -> list[tuple[Tensor, Tensor]]:
    """Which rows int64 [n] have an edge, and these images [n,C,H,edge], for each edge, rising."""
    edges = image.edge(spans)
    if edges.min() == edges.max():
        return [(torch.arange(len(images)), images[..., : int(edges[0])])]
    places = [(torch.from_numpy(np.flatnonzero(edges == edge)), int(edge)) for edge in np.unique(edges)]
    return [(rows, images[rows][..., :edge]) for rows, edge in places]


def _widened(values: Tensor, own: Grids, whole: Grids, empty: float) -> Tensor:
    """Values [n,l,C] of narrower grids on those of the whole canvas, [n,L,C]; of cells beyond, the first is
    `empty`, the others are 0.
    """
    levels = values.split([h * w for h, w in own], 1)
    pairs = zip(levels, own, whole, strict=True)
    return torch.cat([_wide(level.unflatten(1, size), all_[1], empty) for level, size, all_ in pairs], 1)


def _wide(level: Tensor, columns: int, empty: float) -> Tensor:
    """A level [n,h,w,C] with so many columns, [n,L,C]."""
    beyond = level.new_zeros(*level.shape[:2], columns - level.shape[2], level.shape[3])
    beyond[..., 0] = empty
    return torch.cat([level, beyond], 2).flatten(1, 2)
