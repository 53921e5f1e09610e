"""int8 weights and activations in an ONNX file (extra `onnx`).

Convolutions, and products with weights, get static scales (Jacob et al. 2018, "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference"), of weights one per channel, of activations
from their least and largest value over calibration samples. LSTMs get int8 weights and scales that are found
while they run, by an operator that ONNX Runtime alone has. Layers named `wide` stay as they are.
"""

import logging
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any

from train.formats import INPUTS
from train.narrowing import Narrower, Samples

STATIC = ("Conv", "MatMul", "Gemm")  # whose second input is the weight
FOLLOWING = ("Relu", "MaxPool")  # computed in the numbers of the convolution that they follow
RECURRENT = "LSTM"
FEW = 4  # channels: a convolution of fewer is slower in int8 than in float32


class Quantiser(Narrower):
    """Makes int8 of one ONNX model of float32; samples: what its activations are measured on, too."""

    name, lossy = "int8", True

    def __init__(self, made: Any, samples: Samples) -> None:
        super().__init__(made, samples)
        base = _prepared(made)
        nodes = _layers(base)
        self.thin = tuple(node.name for node in nodes if _few(node, base))  # never quantised
        self._kinds = {node.name: node.op_type for node in nodes if node.name not in self.thin}
        self.layers = tuple(self._kinds)
        self._ranges = _ranges(_pool_last(base, self.layers), samples)

    def alone(self, wide: Collection[str]) -> bool:
        """LSTMs find one scale for all that they are given together."""
        return any(kind == RECURRENT for name, kind in self._kinds.items() if name not in wide)

    def narrow(self, made: Any, wide: Collection[str], own: bool) -> Any:
        """The model with all layers but the wide ones in int8; without `own`, LSTMs are not."""
        from onnxruntime.quantization import QuantFormat, QuantType
        from onnxruntime.quantization.qdq_quantizer import QDQQuantizer

        chosen = [name for name in self.layers if name not in wide]
        made = _pool_last(_prepared(made), chosen)
        still = [name for name in chosen if self._kinds[name] in STATIC]
        if still:
            quantiser = QDQQuantizer(
                made, per_channel=True, reduce_range=False, weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8, tensors_range=self._ranges,
                nodes_to_quantize=[*still, *_following(made, still)], nodes_to_exclude=[],
                op_types_to_quantize=[*STATIC, *FOLLOWING],
                extra_options={"QuantFormat": QuantFormat.QDQ},
            )  # fmt: skip
            quantiser.quantize_model()
            made = quantiser.model.model
        recurrent = [name for name in chosen if self._kinds[name] == RECURRENT]
        return _recurrent(made, recurrent) if own and recurrent else made


def _prepared(made: Any) -> Any:
    """A copy with constants folded and all shapes that can be known."""
    import onnx
    from onnxruntime.quantization import quant_pre_process
    from onnxruntime.quantization.quant_utils import load_model_with_shape_infer

    with tempfile.TemporaryDirectory() as place:
        before, after = Path(place) / "before.onnx", Path(place) / "after.onnx"
        onnx.save(made, str(before))
        quant_pre_process(before, after, skip_symbolic_shape=True)
        return load_model_with_shape_infer(after)


def _layers(made: Any) -> list[Any]:
    """The nodes that hold weights which can be int8, in their order."""
    stored = {one.name for one in made.graph.initializer}
    return [
        node
        for node in made.graph.node
        if node.op_type in (*STATIC, RECURRENT) and node.input[1] in stored
    ]  # fmt: skip


def _few(node: Any, made: Any) -> bool:
    shapes = {one.name: one.dims for one in made.graph.initializer}
    return node.op_type == "Conv" and shapes[node.input[1]][1] < FEW and not _grouped(node)


def _grouped(node: Any) -> bool:
    return any(one.name == "group" and one.i > 1 for one in node.attribute)


def _readers(made: Any) -> dict[str, list[Any]]:
    """The nodes that read each value."""
    found: dict[str, list[Any]] = {}
    for node in made.graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


def _pool_last(made: Any, chosen: Collection[str]) -> Any:
    """Convolution, pooling, ReLU as convolution, ReLU, pooling: the same values, and the first two become one
    integer operator.
    """
    import onnx

    readers = _readers(made)
    for node in made.graph.node:
        chain = [node, *_only(readers, node, "MaxPool")]
        chain += _only(readers, chain[-1], "Relu") if len(chain) == 2 else []
        if node.name in chosen and len(chain) == 3:
            _, pool, relu = chain
            relu.attribute.extend(pool.attribute)
            del pool.attribute[:]
            pool.op_type, relu.op_type = "Relu", "MaxPool"
    del made.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(made)


def _only(readers: dict[str, list[Any]], node: Any, kind: str) -> list[Any]:
    """The one node that reads another's answer, if it is of a kind."""
    found = readers.get(node.output[0], [])
    return found if len(found) == 1 and found[0].op_type == kind else []


def _following(made: Any, chosen: Collection[str]) -> list[str]:
    """The names of ReLUs and poolings that only look at what chosen nodes answer."""
    readers, found = _readers(made), []
    for node in made.graph.node:
        if node.name in chosen or node.name in found:
            found += [one.name for kind in FOLLOWING for one in _only(readers, node, kind)]
    return found


def _ranges(made: Any, samples: Samples) -> Any:
    """The least and largest value of every activation over the samples."""
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod
    from onnxruntime.quantization.calibrate import create_calibrator

    class Reading(CalibrationDataReader):
        def __init__(self) -> None:
            self._inputs = samples()

        def get_next(self) -> Any:
            found = next(self._inputs, None)
            return None if found is None else dict(zip(INPUTS, found, strict=False))

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "model.onnx"
        onnx.save(made, str(path))
        measure = create_calibrator(
            path, [*STATIC, *FOLLOWING], str(path.with_name("measured.onnx")), CalibrationMethod.MinMax
        )
        measure.collect_data(Reading())
        return measure.compute_data()


def _recurrent(made: Any, names: list[str]) -> Any:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as place:
        before, after = Path(place) / "before.onnx", Path(place) / "after.onnx"
        onnx.save(made, str(before))
        logging.disable(logging.WARNING)  # of steps that are taken already
        try:
            quantize_dynamic(
                before, after, op_types_to_quantize=[RECURRENT], nodes_to_quantize=names, per_channel=True,
                weight_type=QuantType.QInt8,
            )  # fmt: skip
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(str(after))
