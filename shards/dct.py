"""What JPEG does to pixels, as batched tensor operations whose result does not depend on the batch.

Letters: N samples, C channels, H W pixels.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# The luminance table of ITU-T T.81, annex K; used for every channel.
_LUMINANCE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55,
    14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92,
    49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
_K, _X = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
# The DCT in integers of 1/1024: all products and sums stay below 2^24, so float32 is exact and a matrix
# product cannot
# depend on the batch.
_DCT = np.round(1024 * np.where(_K == 0, np.sqrt(1 / 8), 0.5) * np.cos((2 * _X + 1) * _K * np.pi / 16))


def jpeg(x: Tensor, quality: np.ndarray) -> Tensor:
    """What JPEG of a quality (10..100) does to the pixels: 8x8 DCT, quantisation, inverse; no file is
    made.
    """
    n, c, height, width = x.shape
    wide = (functional.pad(x, (0, -width % 8, 0, -height % 8), mode="replicate") * 255).round() - 128
    rows, columns = wide.shape[2] // 8, wide.shape[3] // 8
    blocks = wide.view(n, c, rows, 8, columns, 8).transpose(3, 4)
    scale = np.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    table = np.clip(np.floor((np.array(_LUMINANCE) * scale[:, None] + 50) / 100), 1, 255)
    step = torch.as_tensor(table.astype(np.float32), device=x.device).view(n, 1, 1, 1, 8, 8)
    matrix = torch.as_tensor(_DCT.astype(np.float32), device=x.device)
    freq = _twice(blocks, matrix.T, 128) / (1024 * 8)
    back = _twice(torch.round(freq / step) * step, matrix, 256) / (1024 * 4)
    pixels = (back.round() + 128).transpose(3, 4).reshape(wide.shape)[:, :, :height, :width]
    return (pixels / 255).clamp(0, 1)


def _twice(blocks: Tensor, matrix: Tensor, divisor: int) -> Tensor:
    """blocks [...,8,8] times an integer matrix along both axes; rounded to integers in between, to stay
    exact.
    """
    half = torch.round((blocks @ matrix) / divisor)
    return (half.transpose(-1, -2) @ matrix).transpose(-1, -2)
