"""Whether a model fits a device before it is trained: bytes by module and precision, as plain arithmetic.

Weights of two and more axes are stored in the precision; int8 has one fp32 scale per output channel beside
them. Biases, norms and other vectors stay fp32. The file's graph and metadata are not counted.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

from torch import nn

from shards.errors import BadSettings

BYTES = {"fp32": 4, "fp16": 2, "int8": 1}
MEGABYTE = 1_000_000


@dataclass
class Settings:
    """The largest model that is wanted."""

    mb: float = 0.0  # million bytes that the weights may take when exported, 0 = any
    precision: Literal["fp32", "fp16", "int8"] = "int8"  # of the exported weights

    def __post_init__(self) -> None:
        if not 0 <= self.mb < math.inf:
            raise BadSettings(f"limit.mb: {self.mb}, must be finite and at least 0")


def size(model: nn.Module, precision: str) -> dict[str, tuple[int, int]]:
    """Top module -> (parameters, bytes in the precision), in the order of the model."""
    out: dict[str, tuple[int, int]] = {}
    for name, value in model.named_parameters():
        part, wide = name.partition(".")[0], value.dim() > 1
        scales = 4 * value.shape[0] if precision == "int8" and wide else 0
        bytes_ = value.numel() * (BYTES[precision] if wide else 4) + scales
        parameters, before = out.get(part, (0, 0))
        out[part] = (parameters + value.numel(), before + bytes_)
    return out


def check(model: nn.Module, settings: Settings) -> dict[str, Any]:
    """The arithmetic, as values and sentences; a model above the limit is a BadSettings that tells it."""
    found = size(model, settings.precision)
    total, parameters = sum(b for _, b in found.values()), sum(p for p, _ in found.values())
    lines = [f"{part}: {p:,} parameters, {b:,} bytes" for part, (p, b) in found.items()]
    facts = {"precision": settings.precision, "bytes": total, "parameters": parameters,
             "limit_bytes": round(settings.mb * MEGABYTE)}  # fmt: skip
    told = f"{parameters:,} parameters take {total:,} bytes in {settings.precision}"
    if settings.mb and total > settings.mb * MEGABYTE:
        widths = (settings.mb * MEGABYTE / total) ** 0.5  # parameters grow with the square of the widths
        raise BadSettings(
            f"limit.mb={settings.mb:g}: {told}, {total - round(settings.mb * MEGABYTE):,} too many "
            f"({'; '.join(lines)}); widths times {widths:.2f} would about do"
        )
    limit = f", {settings.mb:g} MB allow {round(settings.mb * MEGABYTE):,}" if settings.mb else ""
    return {**facts, "lines": [*lines, told + limit]}
