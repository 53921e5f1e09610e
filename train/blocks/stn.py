"""A spatial transformer (Jaderberg et al. 2015) that straightens the picture before anything reads it.

The small network is gasparian/CRNN-OCR-lite's: pooling, convolution, pooling, convolution, two dense layers,
six numbers of an affine map. It begins as the identity and stays near it: free, its numbers went to 50 within
1,250 steps, while the reader behind it still answered blanks, and neither came back. So they are bounded, and
the layer they are read off is normalised: without that they stood at their bounds as soon.
Letters: N samples, C channels, H W pixels.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from shards.errors import BadSettings
from shards.image import ImageSpec

WIDTH, HIDDEN, KERNEL = 20, 50, 5  # of the convolutions, of the dense layer; their kernel in pixels
REACH = 0.5  # the most that a number is from the identity's: zooms of 0.5 to 1.5, turns of 30 degrees
PACE = 0.1  # the numbers for one of the last layer's, so that it learns at a tenth of the reader's rate
LEAST = 28  # pixels of the smallest canvas that two poolings and two such kernels leave anything of


class Rectifier(nn.Module):
    """Images [N,C,H,W] to images of the same shape, each sampled along an affine map of its own.

    The map is found on the picture brought to the canvas of the image spec, so images of any width run; none
    of its six numbers is further than REACH from the identity's.
    """

    def __init__(self, image: ImageSpec) -> None:
        super().__init__()
        for name in ("height", "width"):
            if getattr(image, name) < LEAST:
                raise BadSettings(f"image.{name}: {getattr(image, name)}, stn=true needs at least {LEAST}")
        self.canvas = (image.height, image.width)
        rows, columns = (((size // 2 - KERNEL + 1) // 2) - KERNEL + 1 for size in self.canvas)
        self.pool = nn.MaxPool2d(2)
        self.conv1 = nn.Conv2d(image.depth, WIDTH, KERNEL)
        self.conv2 = nn.Conv2d(WIDTH, WIDTH, KERNEL)
        self.dense1 = nn.Linear(WIDTH * rows * columns, HIDDEN)
        self.norm = nn.LayerNorm(HIDDEN, elementwise_affine=False)
        self.dense2 = nn.Linear(HIDDEN, 6)
        self.register_buffer("identity", torch.tensor([1.0, 0, 0, 0, 1, 0]), persistent=False)

    def rest(self) -> None:
        """Makes the map the identity, from which learning begins."""
        nn.init.zeros_(self.dense2.weight)
        nn.init.zeros_(self.dense2.bias)

    def forward(self, images: Tensor) -> Tensor:
        """The images as sampled; what a map reaches beyond an edge is the edge's colour."""
        seen = functional.interpolate(images, self.canvas, mode="bilinear", align_corners=False)
        seen = self.conv2(self.pool(self.conv1(self.pool(seen))))
        moved = self.dense2(self.norm(self.dense1(seen.flatten(1))).relu()).float()
        affine = (self.identity + REACH * (PACE / REACH * moved).tanh()).view(-1, 2, 3, 1, 1)
        # Sums of products, not affine_grid: autocast would round the coordinates of that to 8 bits.
        x, y = _centres(images.shape[3], images), _centres(images.shape[2], images)[:, None]
        grid = affine[:, :, 0] * x + affine[:, :, 1] * y + affine[:, :, 2]
        grid = grid.permute(0, 2, 3, 1)
        sampled = functional.grid_sample(images.float(), grid, padding_mode="border", align_corners=False)
        return sampled.to(images.dtype)


def _centres(count: int, like: Tensor) -> Tensor:
    """Centres of `count` pixels in a side of -1..1, float32 [count]."""
    return (2 * torch.arange(count, device=like.device, dtype=torch.float32) + 1) / count - 1
