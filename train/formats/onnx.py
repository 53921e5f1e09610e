"""ONNX, run by onnxruntime (extra `onnx`)."""

import warnings
from pathlib import Path

import numpy as np
import torch

from shards.errors import BadData, BadSettings
from train.formats import INPUTS, OUTPUT, WANTED, Graph, Run
from train.models.onnx import open_session

SUFFIXES = (".onnx",)
PRECISIONS = ("fp32",)
TOLD = "ocr_distillery"  # the entry of the metadata that holds the config


def write(graph: Graph, example: tuple[torch.Tensor, ...], path: Path, told: str) -> None:
    """See the seam."""
    try:
        import onnx
    except ModuleNotFoundError:
        raise BadSettings("onnx is not installed: pip install 'ocr-distillery[onnx]'") from None
    names = list(INPUTS[: len(example)])
    axes = {"images": {0: "samples", 3: "width"}, "steps": {0: "samples"}, OUTPUT: {0: "samples", 1: "steps"}}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is looked at while tracing: the gate tries other sizes
        torch.onnx.export(
            graph, example, str(path), dynamo=False, opset_version=WANTED, input_names=names,
            output_names=[OUTPUT], dynamic_axes={name: axes[name] for name in (*names, OUTPUT)},
        )  # fmt: skip
    made = onnx.load(str(path))
    entry = made.metadata_props.add()
    entry.key, entry.value = TOLD, told
    onnx.save(made, str(path))


def read(path: Path, threads: int) -> tuple[str, Run]:
    """See the seam."""
    try:
        session = open_session(path.read_bytes(), threads)
    except (BadData, OSError) as error:
        raise BadData(f"{path}: {error}") from None
    names = [one.name for one in session.get_inputs()]

    def run(inputs: list[np.ndarray]) -> np.ndarray:
        return session.run([OUTPUT], dict(zip(names, inputs, strict=True)))[0]

    return session.get_modelmeta().custom_metadata_map.get(TOLD, ""), run
