"""Fixtures: small shard folders made by the rendered source, which so documents the format."""

import os
import socket
from contextlib import closing
from importlib import import_module
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from ingest import shard

# A busy machine is no fault. What is asked is the same every time, so that a red run speaks of the change;
# the campaign asks anew: --hypothesis-profile=anew.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("anew", deadline=None)
settings.load_profile("same")
ROOT = Path(__file__).resolve().parent.parent
REAL = Path(os.environ.get("OCR_REAL_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    # One thread: tests run side by side, and tiny tensors gain nothing from more.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def words(tmp_path_factory) -> Path:
    """A data set folder with splits train (96 words), val (32) and test (32), 40 rows to a shard."""
    out = tmp_path_factory.mktemp("shards") / "words"
    for split, count in (("train", 96), ("val", 32), ("test", 32)):
        shard.main(["source=rendered", f"out={out}", f"split={split}", f"count={count}", "rows_per_shard=40"])
    return out


@pytest.fixture(scope="session")
def real() -> Path:
    """The folder of real data; the test is skipped where there is none."""
    if not REAL.is_dir():
        pytest.skip(f"no real data at {REAL}; OCR_REAL_DATA=DIR points elsewhere")
    return REAL


@pytest.fixture(scope="session")
def s3():
    """The address of an empty bucket of a server that speaks S3."""
    pytest.importorskip("s3fs")
    moto = pytest.importorskip("moto.server")
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    server.start()
    told = {
        "AWS_ACCESS_KEY_ID": "sesame", "AWS_SECRET_ACCESS_KEY": "open-sesame",
        "AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        import_module("fsspec").filesystem("s3").mkdir("bucket")
        yield "s3://bucket"
    server.stop()


def make_onnx(path, classes=11, ending="softmax", batch="n", dtype="float", metadata=None):
    """Columns of 4 pixels, averaged; then a matrix and, by `ending`, softmax, nothing, or another layout."""
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weights = np.random.default_rng(0).normal(0, 9, (3, classes)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["x"], ["pool"], kernel_shape=[16, 4], strides=[16, 4]),
        helper.make_node("Squeeze", ["pool", "axis"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["frames"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["frames", "weights"], ["logits"]),
    ]
    last = "logits"
    if ending in ("softmax", "both"):
        nodes.append(helper.make_node("Softmax", ["logits"], ["answer"], axis=-1))
        last = "answer"
    if ending == "times first":
        nodes.append(helper.make_node("Transpose", ["logits"], ["answer"], perm=[1, 0, 2]))
        last = "answer"
    outputs = [last, *(["logits"] if ending == "both" else [])]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, "h", "w"])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [
            numpy_helper.from_array(np.array([2]), "axis"),
            numpy_helper.from_array(weights, "weights"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    if metadata is not None:
        helper.set_model_props(model, {"character": metadata})
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="session")
def tiny_onnx():
    """make_onnx(path, classes, ending, batch, metadata): skipped without the extra `onnx`."""
    for name in ("onnx", "onnxruntime"):
        pytest.importorskip(name, reason="needs the extra `onnx`")
    return make_onnx
