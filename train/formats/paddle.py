"""Paddle's inference models, made of the ONNX file by X2Paddle (extra `paddle`).

Two files: the weights, and the program beside them in .json, which also holds the config. X2Paddle wants an
older onnx than the other formats, so the extra lives in an environment of its own.
"""

import hashlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train.formats import Graph, Run, onnx
from train.narrowing import FULL, Precision

SUFFIXES = (".pdiparams", ".json")
PRECISIONS = ("fp32",)
TOLD, DIGEST = "ocr_distillery", "weights_sha256"  # keys of the program: the config, and what is beside it
NEEDED = ("paddle", "x2paddle")
OPERATORS = 15  # the latest that X2Paddle knows
TRIED = "x2paddle --framework=onnx --model=model.onnx --save_dir=paddle"  # what CONVERT does
CONVERT = (
    "import sys; from x2paddle.convert import onnx2paddle as to; to(*sys.argv[1:], disable_feedback=True)"
)


def absent(image: ImageSpec) -> str:
    """See the seam."""
    if all(map(importlib.util.find_spec, NEEDED)):
        return onnx.absent(image)
    return "paddle is not installed: in an environment of its own, pip install 'ocr-distillery[paddle]'"


def write(
    graph: Graph, example: tuple[torch.Tensor, ...], path: Path, told: str, precision: Precision = FULL
) -> None:
    """See the seam."""
    if why := absent(graph.model.image):
        raise BadSettings(why)
    import onnx as library

    with tempfile.TemporaryDirectory() as place:
        between, out = Path(place) / "model.onnx", Path(place) / "out"
        library.save(_plain(onnx.traced(graph, example, OPERATORS)), str(between))
        line = [sys.executable, "-c", CONVERT, str(between), str(out)]  # a process: it runs code it writes
        said = subprocess.run(line, capture_output=True, text=True, cwd=place)
        made = out / "inference_model" / "model"
        try:
            program = json.loads(made.with_suffix(SUFFIXES[1]).read_text(encoding="utf-8"))
            weights = made.with_suffix(SUFFIXES[0]).read_bytes()
        except (OSError, ValueError):
            lines = [one for one in said.stderr.splitlines() if "Error" in one or "Exception" in one]
            last = lines[-1].strip() if lines else f"it ended with code {said.returncode}"
            raise BadSettings(f"{TRIED} does not take this model: {last}") from None
    path.write_bytes(weights)
    program |= {TOLD: told, DIGEST: hashlib.sha256(weights).hexdigest()}
    path.with_suffix(SUFFIXES[1]).write_text(json.dumps(program, ensure_ascii=False), encoding="utf-8")


def read(path: Path, threads: int) -> tuple[str, Run]:
    """See the seam; Paddle itself would run weights that are cut."""
    if why := absent(ImageSpec()):
        raise BadSettings(why)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of compilers that are not needed
        from paddle import inference  # pyright: ignore

    beside = path.with_suffix(SUFFIXES[1])
    try:
        program = json.loads(beside.read_text(encoding="utf-8"))
        if program.get(DIGEST) != hashlib.sha256(path.read_bytes()).hexdigest():
            raise BadData(f"{path}: not the weights that {beside.name} was written with")
        settings = inference.Config(str(beside), str(path))
        settings.disable_glog_info()
        settings.disable_mkldnn()  # it does not run every program
        settings.set_cpu_math_library_num_threads(threads)
        predictor = inference.create_predictor(settings)
    except (OSError, ValueError, RuntimeError, AttributeError) as error:
        raise BadData(f"{path}: not a model that Paddle reads: {str(error).strip()[-200:]}") from None
    names = predictor.get_input_names()
    (answer,) = predictor.get_output_names()

    def run(inputs: list[np.ndarray]) -> np.ndarray:
        for name, one in zip(names, inputs, strict=True):
            predictor.get_input_handle(name).copy_from_cpu(one)
        predictor.run()
        return predictor.get_output_handle(answer).copy_to_cpu()

    return program.get(TOLD, ""), run


def _plain(made: Any) -> Any:
    """The model as X2Paddle knows it: every node with weights of its own, since it uses them up; and without
    what poolings say that holds anyway.
    """
    stored = {one.name: one for one in made.graph.initializer}
    for node in list(made.graph.node):
        if node.op_type == "Identity" and node.input[0] in stored:
            own = made.graph.initializer.add()
            own.CopyFrom(stored[node.input[0]])
            own.name = node.output[0]
            made.graph.node.remove(node)
        for one in [one for one in node.attribute if one.name == "dilations" and set(one.ints) == {1}]:
            if node.op_type == "MaxPool":
                node.attribute.remove(one)
    return made
