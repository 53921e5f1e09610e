"""Seam: one file per format that models are exported to. A member offers

- `SUFFIXES`, of its files, that of the one which is named first; `PRECISIONS`, those that it writes;
- `absent(image)`: why nothing can be written on this machine, and what to do for canvases of that spec; empty
  where it can;
- `write(graph, example, path, told, precision)`: a file that computes what the graph (`Graph`) computes of
  inputs like the example, at any batch and width, and holds the text `told`; precision: of
  `train.narrowing`, one of PRECISIONS; a model that the format cannot hold is a BadSettings;
- `read(path, threads)` -> (told, run): run takes the inputs and answers the logits, float32; a file that
  cannot be read is a BadData.
Letters: N samples, L time steps or cells, C classes or terms of a cell, H W pixels.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from torch import Tensor, nn

Run = Callable[[list[np.ndarray]], np.ndarray]
INPUTS = ("images", "steps")  # names of what a graph takes
OUTPUT = "logits"  # and of what it answers
WANTED = 17  # ONNX operators, where a format is made of them


class Graph(nn.Module):
    """What formats hold of a model: images [N,C,H,W] of one edge, normalised, to logits [N,L,C].

    Where the image spec has buckets, also steps int64 [N]: how many of the L are each image's own.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.eval()  # exporters give a module the mode of its outermost one back

    def forward(self, images: Tensor, *steps: Tensor) -> Tensor:
        """The logits, nothing else."""
        return self.model.of_edge(images, *steps).logits
