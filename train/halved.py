"""Weights stored as float16 in an ONNX file (extra `onnx`): half the bytes, computed in float32 all the same.

Whatever runs the file widens them once. A layer is one tensor of weights.
"""

import copy
from collections.abc import Collection
from typing import Any

import numpy as np

from train.narrowing import Narrower, Samples

LEAST = 64  # numbers: smaller tensors are not worth a node
HIGHEST = float(np.finfo(np.float16).max)


class Halver(Narrower):
    """Makes float16 of one ONNX model of float32."""

    name = "fp16"

    def __init__(self, made: Any, samples: Samples) -> None:
        super().__init__(made, samples)
        self.layers = tuple(one.name for one in made.graph.initializer if _worth(one))

    def narrow(self, made: Any, wide: Collection[str] = (), own: bool = False) -> Any:
        """The model with all weights but the wide ones stored as float16."""
        import onnx

        made = copy.deepcopy(made)
        for weight in made.graph.initializer:
            if weight.name in wide or not _worth(weight):
                continue
            name, narrow = weight.name, f"{weight.name}_fp16"
            values = np.clip(onnx.numpy_helper.to_array(weight), -HIGHEST, HIGHEST).astype(np.float16)
            weight.CopyFrom(onnx.numpy_helper.from_array(values, narrow))
            kind = onnx.TensorProto.FLOAT
            widen = onnx.helper.make_node("Cast", [narrow], [name], f"{name}_widened", to=kind)
            made.graph.node.insert(0, widen)
        return made


def _worth(weight: Any) -> bool:
    import onnx

    return weight.data_type == onnx.TensorProto.FLOAT and np.prod(weight.dims) >= LEAST
