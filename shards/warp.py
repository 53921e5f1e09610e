"""The geometry of views: where a view's pixels are read from, as one homography per sample.

Letters: N samples, H W pixels. Plain float64 arithmetic; the same draws give the same map on every machine.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

OPERATIONS = ("rotation", "stretch", "crop", "perspective", "zoom", "shift")


def corners(
    draw: dict[str, np.ndarray], s: Any, aspect: float, focus: np.ndarray | None = None
) -> np.ndarray:
    """Where the canvas corners (order -- +- ++ -+) are read from, [N,4,2], in units of half the canvas.

    s: settings of `shards.augment`; draw: its draws in -1..1. focus: float [N,2] in the same units, the point
    about which an enlargement is made, as far as that leaves the view inside the canvas; None: the centre.
    """
    unit = np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    angle = np.deg2rad(s.rotation) * draw["rotation"][:, 1, None]
    x, y = unit[:, 0] * aspect, unit[:, 1]
    turned = np.stack(
        [(np.cos(angle) * x - np.sin(angle) * y) / aspect, np.sin(angle) * x + np.cos(angle) * y], -1
    )
    turned[..., 0] *= 1 + s.stretch * draw["stretch"][:, 1, None]
    edges = s.crop * draw["crop"][:, 1:]  # left, right, top, bottom
    turned[..., 0] += np.where(unit[:, 0] < 0, edges[:, 0, None], edges[:, 1, None]) / aspect
    turned[..., 1] += np.where(unit[:, 1] < 0, edges[:, 2, None], edges[:, 3, None])
    turned = _zoomed(turned, (1 + s.zoom) ** draw["zoom"][:, 1], focus)
    turned += 2 * s.shift * draw["shift"][:, None, 1:]
    jitter = s.perspective * draw["perspective"][:, 1:].reshape(-1, 4, 2)
    return turned + jitter / np.array([aspect, 1.0])


def _zoomed(points: np.ndarray, factor: np.ndarray, focus: np.ndarray | None) -> np.ndarray:
    """The corners [N,4,2] of views that show things `factor` [N] times as large."""
    points = points / factor[:, None, None]
    if focus is None:
        return points
    room = np.maximum(1 - 1 / factor, 0.0)[:, None]  # how far the view's centre may move
    return points + np.clip(focus, -room, room)[:, None]


def homography(corners: np.ndarray) -> np.ndarray:
    """[N,3,3] maps taking the unit square's corners (00 10 11 01) to corners [N,4,2]; closed form of
    Heckbert (1989).
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = (corners[:, i].T for i in range(4))
    sx, sy = x0 - x1 + x2 - x3, y0 - y1 + y2 - y3
    dx1, dx2, dy1, dy2 = x1 - x2, x3 - x2, y1 - y2, y3 - y2
    area = dx1 * dy2 - dx2 * dy1
    g, h = (sx * dy2 - dx2 * sy) / area, (dx1 * sy - sx * dy1) / area
    rows = [
        x1 - x0 + g * x1,
        x3 - x0 + h * x3,
        x0,
        y1 - y0 + g * y1,
        y3 - y0 + h * y3,
        y0,
        g,
        h,
        np.ones_like(g),
    ]
    return np.stack(rows, -1).reshape(-1, 3, 3)


def grid(maps: np.ndarray, height: int, width: int, device: torch.device) -> Tensor:
    """Sampling positions [N,H,W,2] for grid_sample."""
    m = torch.as_tensor(maps.astype(np.float32), device=device)[:, :, :, None, None]
    u = ((torch.arange(width, device=device) + 0.5) / width)[None, None]
    v = ((torch.arange(height, device=device) + 0.5) / height)[None, :, None]
    x, y, z = (m[:, i, 0] * u + m[:, i, 1] * v + m[:, i, 2] for i in range(3))
    return torch.stack([x / z, y / z], -1)
