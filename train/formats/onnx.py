"""ONNX, run by onnxruntime (extra `onnx`)."""

import importlib.util
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train.formats import INPUTS, OUTPUT, WANTED, Graph, Run
from train.models.onnx import open_session
from train.narrowing import FULL, Precision

SUFFIXES = (".onnx",)
PRECISIONS = ("fp32", "fp16", "int8")
TOLD = "ocr_distillery"  # the entry of the metadata that holds the config


def absent(image: ImageSpec) -> str:
    """See the seam."""
    known = all(map(importlib.util.find_spec, ("onnx", "onnxruntime")))
    return "" if known else "onnx is not installed: pip install 'ocr-distillery[onnx]'"


def write(
    graph: Graph, example: tuple[torch.Tensor, ...], path: Path, told: str, precision: Precision = FULL
) -> None:
    """See the seam."""
    import onnx

    made = precision.own(traced(graph, example))
    entry = made.metadata_props.add()
    entry.key, entry.value = TOLD, told
    onnx.save(made, str(path))


def traced(graph: Graph, example: tuple[torch.Tensor, ...], operators: int = WANTED) -> Any:
    """The graph as an ONNX model of float32, of the set of operators with that number."""
    if why := absent(graph.model.image):
        raise BadSettings(why)
    import onnx

    names = list(INPUTS[: len(example)])
    axes = {"images": {0: "samples", 3: "width"}, "steps": {0: "samples"}, OUTPUT: {0: "samples", 1: "steps"}}
    with tempfile.TemporaryDirectory() as place, torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is looked at while tracing: the gate tries other sizes
        path = str(Path(place) / "model.onnx")
        torch.onnx.export(
            graph, example, path, dynamo=False, opset_version=operators, input_names=names,
            output_names=[OUTPUT], dynamic_axes={name: axes[name] for name in (*names, OUTPUT)},
        )  # fmt: skip
        return onnx.load(path)


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
