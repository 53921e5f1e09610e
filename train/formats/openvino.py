"""OpenVINO's intermediate representation, made of the ONNX file (extras `onnx` and `openvino`).

Two files: the network in .xml, which names its weights, the .bin beside it.
"""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shards.errors import BadData, BadSettings
from train.formats import Graph, Run, onnx

SUFFIXES = (".xml", ".bin")
PRECISIONS = ("fp32",)
TOLD = "ocr_distillery"  # the entry of rt_info that holds the config


def write(graph: Graph, example: tuple[torch.Tensor, ...], path: Path, told: str) -> None:
    """See the seam."""
    openvino = _installed()
    with tempfile.TemporaryDirectory() as folder:
        between = Path(folder) / "model.onnx"
        onnx.write(graph, example, between, told)
        made = openvino.convert_model(str(between))
        made.set_rt_info(told, [TOLD])
        openvino.save_model(made, str(path), compress_to_fp16=False)


def read(path: Path, threads: int) -> tuple[str, Run]:
    """See the seam."""
    openvino = _installed()
    try:
        made = openvino.Core().read_model(str(path))
    except RuntimeError as error:
        raise BadData(f"{path}: not a network that OpenVINO reads: {str(error).splitlines()[0]}") from None
    text = made.get_rt_info([TOLD]).astype(str) if made.has_rt_info([TOLD]) else ""
    compiled = openvino.Core().compile_model(
        made, "CPU", {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    )

    def run(inputs: list[np.ndarray]) -> np.ndarray:
        return compiled(inputs)[0]

    return text, run


def _installed() -> Any:
    try:
        import openvino
    except ModuleNotFoundError:
        raise BadSettings("openvino is not installed: pip install 'ocr-distillery[openvino]'") from None
    return openvino
