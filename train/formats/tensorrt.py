"""TensorRT engines, made of the ONNX file (extras `onnx` and `tensorrt`, and an NVIDIA GPU).

Two files: the engine, and a .json beside it that holds the config and names the TensorRT and the GPU that it
was built for. An engine runs on such a GPU alone: elsewhere it is to be built again.
"""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train.formats import INPUTS, OUTPUT, Graph, Run, onnx
from train.narrowing import FULL, Precision

SUFFIXES = (".engine", ".engine.json")
PRECISIONS = ("fp32", "fp16")
MOST = 256  # images at a time
USUAL = 16  # for which an engine is tuned


def absent(image: ImageSpec) -> str:
    """See the seam; with the command that builds an engine of the ONNX file elsewhere."""
    if importlib.util.find_spec("tensorrt") is None:
        return f"tensorrt is not installed here; where it is: {recipe(image)}"
    if not torch.cuda.is_available():
        return f"TensorRT builds engines on the GPU that runs them, and torch sees none: {recipe(image)}"
    return onnx.absent(image)


def shapes(image: ImageSpec) -> list[dict[str, tuple[int, ...]]]:
    """The least, the usual and the greatest shape of each input."""
    edges, found = image.edges, []
    for samples, width in ((1, edges[0]), (USUAL, edges[-1]), (MOST, edges[-1])):
        found.append({INPUTS[0]: (samples, image.depth, image.height, width)})
        if image.buckets:
            found[-1][INPUTS[1]] = (samples,)
    return found


def recipe(image: ImageSpec) -> str:
    """The command of TensorRT's own tool."""
    told = [
        f"--{name}Shapes=" + ",".join(f"{key}:{'x'.join(map(str, size))}" for key, size in one.items())
        for name, one in zip(("min", "opt", "max"), shapes(image), strict=True)
    ]
    return f"trtexec --onnx=model.onnx --saveEngine=model.engine --noTF32 {' '.join(told)}"


def write(
    graph: Graph, example: tuple[torch.Tensor, ...], path: Path, told: str, precision: Precision = FULL
) -> None:
    """See the seam."""
    tensorrt = _installed()
    logger = tensorrt.Logger(tensorrt.Logger.ERROR)
    builder = tensorrt.Builder(logger)
    network, settings = builder.create_network(0), builder.create_builder_config()
    parser = tensorrt.OnnxParser(network, logger)
    if not parser.parse(onnx.traced(graph, example).SerializeToString()):
        raise BadSettings(f"TensorRT does not take this model: {parser.get_error(0)}")
    settings.clear_flag(tensorrt.BuilderFlag.TF32)
    if precision.name == "fp16":
        settings.set_flag(tensorrt.BuilderFlag.FP16)
    profile, (least, usual, most) = builder.create_optimization_profile(), shapes(graph.model.image)
    for i in range(network.num_inputs):
        name = network.get_input(i).name
        profile.set_shape(name, least[name], usual[name], most[name])
    settings.add_optimization_profile(profile)
    built = builder.build_serialized_network(network, settings)
    if built is None:
        raise BadSettings("TensorRT could not build an engine of this model; its log says why")
    path.write_bytes(bytes(built))
    content = {"format": 1, "told": told, **_made_by(tensorrt)}
    path.with_suffix(SUFFIXES[1]).write_text(json.dumps(content), encoding="utf-8")


def read(path: Path, threads: int) -> tuple[str, Run]:
    """See the seam; the GPU computes it."""
    tensorrt = _installed()
    try:
        content = json.loads(path.with_suffix(SUFFIXES[1]).read_text(encoding="utf-8"))
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        raise BadData(f"{path}: {error}") from None
    here, there = _made_by(tensorrt), {key: content.get(key) for key in ("tensorrt", "gpu")}
    if here != there:
        raise BadData(f"{path}: built for {there}, this is {here}: export it again here")
    runtime = tensorrt.Runtime(tensorrt.Logger(tensorrt.Logger.ERROR))
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise BadData(f"{path}: not an engine that TensorRT {here['tensorrt']} reads; export it again here")
    context, stream = engine.create_execution_context(), torch.cuda.Stream()
    own = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    names = [name for name in INPUTS if name in own]

    def run(inputs: list[np.ndarray]) -> np.ndarray:
        given = [torch.from_numpy(one).cuda() for one in inputs]
        for name, one in zip(names, given, strict=True):
            context.set_input_shape(name, tuple(one.shape))
            context.set_tensor_address(name, one.data_ptr())
        logits = torch.empty(tuple(context.get_tensor_shape(OUTPUT)), device="cuda")
        context.set_tensor_address(OUTPUT, logits.data_ptr())
        torch.cuda.synchronize()
        context.execute_async_v3(stream.cuda_stream)
        stream.synchronize()
        return logits.cpu().numpy()

    return content.get("told", ""), run


def _made_by(tensorrt: Any) -> dict[str, str]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return {"tensorrt": tensorrt.__version__, "gpu": gpu}


def _installed() -> Any:
    try:
        import tensorrt
    except ModuleNotFoundError:
        raise BadSettings("tensorrt is not installed: pip install 'ocr-distillery[tensorrt]'") from None
    return tensorrt
