"""TorchScript: a traced model that runs wherever libtorch does.

A file of this format holds a program: read only what you trust. PyTorch has declared the format obsolete and
says so at every step; these warnings are not passed on.
"""

import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shards.errors import BadData
from shards.image import ImageSpec
from train.formats import Graph, Run
from train.narrowing import FULL, Precision

SUFFIXES = (".torchscript",)
PRECISIONS = ("fp32",)
TOLD = "config.json"  # a file inside


def absent(image: ImageSpec) -> str:
    """See the seam: torch is always there."""
    return ""


def write(
    graph: Graph, example: tuple[torch.Tensor, ...], path: Path, told: str, precision: Precision = FULL
) -> None:
    """See the seam."""
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is looked at while tracing, too: the gate tries other sizes
        traced, held = torch.jit.trace(graph, example, check_trace=False), io.BytesIO()
        torch.jit.save(traced, held, _extra_files={TOLD: told.encode()})
    path.write_bytes(held.getvalue())  # where the disk is full, torch itself ends the process


def read(path: Path, threads: int) -> tuple[str, Run]:
    """See the seam; torch's own threads compute it."""
    found: dict[str, Any] = {TOLD: ""}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            program = torch.jit.load(str(path), map_location="cpu", _extra_files=found)
    except (RuntimeError, ValueError, OSError) as error:
        raise BadData(f"{path}: not a TorchScript file: {str(error).splitlines()[0]}") from None
    text = found[TOLD]

    def run(inputs: list[np.ndarray]) -> np.ndarray:
        with torch.inference_mode():
            return program(*map(torch.from_numpy, inputs)).numpy()

    return text.decode() if isinstance(text, bytes) else text, run
