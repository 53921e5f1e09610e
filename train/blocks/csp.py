"""Blocks of detectors after YOLOv5: convolutions with SiLU, cross stage partial blocks, pooled pyramids.

Sources: Wang et al. 2020 (CSPNet); He et al. 2015 (spatial pyramid pooling); the layout of ultralytics/yolov5
v6.0 as its model files state it. Letters: N samples, D channels, h w of a map.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional


def conv(into: int, out: int, kernel: int = 1, stride: int = 1, padding: int | None = None) -> nn.Sequential:
    """Convolution without bias, batch normalisation, SiLU; padded to keep the size unless told otherwise."""
    return nn.Sequential(
        nn.Conv2d(into, out, kernel, stride, kernel // 2 if padding is None else padding, bias=False),
        nn.BatchNorm2d(out, eps=1e-3, momentum=0.03),
        nn.SiLU(),
    )


class Bottleneck(nn.Module):
    """A 1x1 and a 3x3 convolution, added to what came in where `shortcut` says so."""

    def __init__(self, width: int, shortcut: bool) -> None:
        super().__init__()
        self.narrow, self.wide, self.shortcut = conv(width, width), conv(width, width, 3), shortcut

    def forward(self, values: Tensor) -> Tensor:
        """[N,D,h,w] to the same shape."""
        found = self.wide(self.narrow(values))
        return values + found if self.shortcut else found


class Partial(nn.Module):
    """Half of the channels through bottlenecks, half past them, both joined (C3)."""

    def __init__(self, into: int, out: int, depth: int, shortcut: bool = True) -> None:
        super().__init__()
        half, self.width = out // 2, out
        self.through, self.past = conv(into, half), conv(into, half)
        self.bottlenecks = nn.Sequential(*(Bottleneck(half, shortcut) for _ in range(depth)))
        self.joined = conv(2 * half, out)

    def forward(self, values: Tensor) -> Tensor:
        """[N,into,h,w] to [N,out,h,w]."""
        return self.joined(torch.cat([self.bottlenecks(self.through(values)), self.past(values)], 1))


class Pyramid(nn.Module):
    """What lies within 5, 9 and 13 cells beside the cell itself: one pooling, three times over (SPPF)."""

    def __init__(self, into: int, out: int) -> None:
        super().__init__()
        self.narrow, self.joined = conv(into, into // 2), conv(into // 2 * 4, out)

    def forward(self, values: Tensor) -> Tensor:
        """[N,into,h,w] to [N,out,h,w]."""
        pooled = [self.narrow(values)]
        for _ in range(3):
            pooled.append(functional.max_pool2d(pooled[-1], 5, 1, 2))
        return self.joined(torch.cat(pooled, 1))
