"""The pre-activation residual block (He et al. 2016, "Identity mappings").

Letters: N samples, h w of a map.
"""

from torch import Tensor, nn


class Block(nn.Module):
    """norm, relu, convolution, twice, added to what came in; to its projection where the shape changes."""

    def __init__(self, into: int, out: int, stride: tuple[int, int]) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.BatchNorm2d(into), nn.BatchNorm2d(out)
        self.conv1 = nn.Conv2d(into, out, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(out, out, 3, padding=1, bias=False)
        same = into == out and stride == (1, 1)
        self.project, self.stride = None if same else nn.Conv2d(into, out, 1, bias=False), stride

    def forward(self, values: Tensor) -> Tensor:
        """[N,into,h,w] to [N,out,h/stride,w/stride]."""
        active = self.norm1(values).relu()
        added = self.conv2(self.norm2(self.conv1(active)).relu())
        if self.project is None:
            return added + values
        # Every stride-th cell, then 1x1: what a strided convolution answers, whose gradient writes beyond its
        # memory where channels stand last and are no multiple of 16 (oneDNN of torch 2.13, AVX-512).
        return added + self.project(active[..., :: self.stride[0], :: self.stride[1]])
