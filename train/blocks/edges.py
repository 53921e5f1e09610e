"""Images of several edges: each is answered at its own, whatever stands beside it in the batch."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from shards.image import ImageSpec
from train.models import Output


def by_edge(
    of_edge: Callable[[Tensor, Tensor], Output], image: ImageSpec, steps: np.ndarray, images: Tensor,
    widths: Tensor | None,
) -> Output:  # fmt: skip
    """What `of_edge` answers to images [N,C,H,W] of each edge, and how many of the L steps are each one's.

    widths int64 [N]: columns that each takes of its canvas, None: all; steps: how many belong to that many
    columns, by their number. Features are those of a batch of one edge.
    """
    spans = np.full(len(images), image.width) if widths is None else widths.cpu().numpy()
    edges, own = image.edge(spans), torch.from_numpy(steps[spans]).to(images.device)
    places = [torch.from_numpy(np.flatnonzero(edges == edge)) for edge in np.unique(edges)]
    if len(places) == 1:
        return of_edge(images[..., : int(edges[0])], own)
    parts = [of_edge(images[rows][..., : int(edges[rows[0]])], own[rows]) for rows in places]
    back = torch.cat(places).argsort()
    return Output(torch.cat([part.logits for part in parts])[back], steps=own)
