"""OpenVINO's intermediate representation, made of the ONNX file (extras `onnx` and `openvino`).

Two files: the network in .xml, which names its weights, the .bin beside it. fp16 is how weights are stored;
in int8, LSTMs stay wide.
"""

import functools
import hashlib
import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train.formats import Graph, Run, onnx
from train.narrowing import FULL, Precision

SUFFIXES = (".xml", ".bin")
PRECISIONS = ("fp32", "fp16", "int8")
TOLD, DIGEST = "ocr_distillery", "weights_sha256"  # entries of rt_info: the config, and what lies beside it


def absent(image: ImageSpec) -> str:
    """See the seam."""
    if importlib.util.find_spec("openvino") is None:
        return "openvino is not installed: pip install 'ocr-distillery[openvino]'"
    return onnx.absent(image)


def write(
    graph: Graph, example: tuple[torch.Tensor, ...], path: Path, told: str, precision: Precision = FULL
) -> None:
    """See the seam."""
    import onnx as library

    openvino, core = _installed(), _core()
    with tempfile.TemporaryDirectory() as folder:
        between = Path(folder) / "model.onnx"
        library.save(precision.standard(onnx.traced(graph, example)), str(between))
        made = core.read_model(str(between))  # as it stands: float16 is not widened
        made.set_rt_info(told, [TOLD])
        try:
            for _ in range(2):  # the network names the weights that the first time wrote
                openvino.save_model(made, str(path), compress_to_fp16=False)
                made.set_rt_info(_digest(path), [DIGEST])
        except RuntimeError as error:
            raise BadSettings(f"{path}: OpenVINO could not write it: {str(error).splitlines()[0]}") from None


def read(path: Path, threads: int) -> tuple[str, Run]:
    """See the seam."""
    core = _core()
    if not path.with_suffix(SUFFIXES[1]).is_file():
        raise BadData(f"{path}: {path.with_suffix(SUFFIXES[1]).name} is missing beside it")
    try:
        made = core.read_model(str(path))
    except RuntimeError as error:
        raise BadData(f"{path}: not a network that OpenVINO reads: {str(error).splitlines()[0]}") from None
    text = made.get_rt_info([TOLD]).astype(str) if made.has_rt_info([TOLD]) else ""
    if made.has_rt_info([DIGEST]) and made.get_rt_info([DIGEST]).astype(str) != _digest(path):
        raise BadData(
            f"{path}: {path.with_suffix(SUFFIXES[1]).name} beside it is not the one it was written with"
        )
    compiled = core.compile_model(
        made, "CPU", {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
    )

    def run(inputs: list[np.ndarray]) -> np.ndarray:
        return compiled(inputs)[0]

    return text, run


def _digest(path: Path) -> str:
    return hashlib.sha256(path.with_suffix(SUFFIXES[1]).read_bytes()).hexdigest()


@functools.cache
def _core() -> Any:
    """The one of this process. Each gives its thread a signal stack and takes it away: where the lives of two
    overlap, the thread may be left with one that is gone, and its next signal is a crash.
    """
    return _installed().Core()


def _installed() -> Any:
    try:
        import openvino
    except ModuleNotFoundError:
        raise BadSettings(absent(ImageSpec())) from None
    return openvino
