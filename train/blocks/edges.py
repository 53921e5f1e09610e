"""The images of a batch, each cut at the edge of its own bucket: what a model of buckets looks at.

Letters: N samples, n of one edge, C channels, H W pixels.
"""

import numpy as np
import torch
from torch import Tensor

from shards.image import ImageSpec


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
