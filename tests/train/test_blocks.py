"""What recognisers share: every trunk under every head, straightened or not; the parts by themselves."""

from pathlib import Path

import pytest
import torch

from shards import config
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.lookup import find
from train import modelfolder, starting, workbench
from train.blocks import heads, recogniser
from train.blocks.columns import COLUMNS
from train.blocks.heads import HEADS
from train.ctc import ctc_loss

TINY = {
    "crnn": {"channels": [4, 4, 4, 4, 8, 8, 8]},
    "densenet": {"growth": 4, "initial": 8, "blocks": [1, 1, 1]},
    "depthwise": {"channels": [4, 4, 4, 8, 8, 8, 8]},
    "mobilenet": {"multiplier": 0.05},
    "resnet": {"channels": [4, 8, 8, 16], "blocks": 1},
    "shufflenet": {"channels": [4, 8, 8, 16, 16]},
    "svtr": {"channels": [4, 4, 8], "blocks": [1, 2, 1], "local": 2, "head_width": 4},
}
IMAGE = ImageSpec(width=64)
WORDS = Path(modelfolder.__file__).with_name("pretrained") / "words"
TWO = {"rnn1", "rnn2"}
LAYERS = {"lstm": TWO, "gru": TWO, "mixer": {"mixer1", "mixer2"}, "linear": set()}


def tiny(name, image=IMAGE, **more):
    module = find("train.models", name)
    between = {"between": "joined"} if more.get("head") in ("linear", "mixer") else {}
    settings = {**TINY[name], "map_to_seq": 12, "rnn_hidden": 6, "column": 4, **between, **more}
    if name in ("crnn", "depthwise", "svtr"):
        del settings["column"]
    torch.manual_seed(0)
    return module.Model(module.Settings(**settings), image, 7)


@pytest.mark.parametrize("stn", [False, True], ids=["plain", "stn"])
@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", TINY)
def test_every_trunk_runs_and_learns_under_every_head(name, head, stn):
    model = tiny(name, head=head, stn=stn)
    output = model(torch.randn(2, 1, 32, 64))
    assert output.logits.shape == (2, model.frames, 7)
    assert output.features["sequence"].shape == (2, model.frames, 12)
    assert LAYERS[head] <= set(output.features)
    assert ("rectified" in output.features) == stn
    ctc_loss(output.logits, torch.tensor([1, 2, 3]), torch.tensor([2, 1])).sum().backward()
    for parameter, value in model.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all(), parameter


@pytest.mark.parametrize("columns", COLUMNS)
@pytest.mark.parametrize("name", TINY)
def test_a_column_is_one_long_vector_or_a_mean_of_its_rows(name, columns):
    model = tiny(name, columns=columns, map_to_seq=0).eval()
    with torch.inference_mode():
        features = model(torch.randn(2, 1, 32, 64)).features
    last = features[list(features)[list(features).index("sequence") - 1]]
    rows = [last[:, :, row].transpose(1, 2) for row in range(last.shape[2])]
    wanted = torch.stack(rows, -1).flatten(2) if columns == "joined" else torch.stack(rows).mean(0)
    if columns == "attended":
        scores = [row @ model.columns.score.weight[0].detach() for row in rows]
        weights = torch.stack(scores).softmax(0)
        assert len(rows) == 1 or weights.std(0).max() > 1e-4
        wanted = sum(weight[..., None] * row for weight, row in zip(weights, rows, strict=True))
    assert torch.allclose(features["sequence"], wanted, atol=1e-5)


@pytest.mark.parametrize("name", TINY)
def test_centred_columns_tell_what_differs_and_not_what_all_have(name):
    model, plain = tiny(name, column_norm=True), tiny(name, column_norm=False)
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in plain.parameters())
    with torch.no_grad():
        for one in (model, plain):
            one.map_to_seq.bias += 20  # as far from 0 as training brings it
    images = torch.randn(3, 1, 32, 64)
    found = model(images).features["sequence"]
    assert torch.allclose(found.mean((0, 1)), torch.zeros(12), atol=1e-4)
    assert torch.allclose(found.std((0, 1), correction=0), torch.ones(12), atol=0.01)
    assert plain(images).features["sequence"].mean() > 10
    still = model.eval()(images[:1]).features["sequence"]  # of running statistics, so alike in any company
    assert torch.allclose(still, model(images).features["sequence"][:1], atol=1e-4)
    assert still.mean() > 1  # one step has brought them a tenth of the way


@pytest.mark.parametrize(("between", "width"), [("joined", 12), ("summed", 6), ("dense", 6)])
@pytest.mark.parametrize("head", ["lstm", "gru"])
def test_the_second_recurrent_layer_reads_both_directions_of_the_first(head, between, width):
    layers, out = HEADS[head](5, 6, between)
    assert out == 12
    assert layers["rnn2"].input_size == width
    values = torch.randn(2, 9, 5)
    for layer in layers.values():
        values = layer(values)
    assert values.shape == (2, 9, 12)


def test_summed_directions_are_their_sum():
    assert heads.Summed()(torch.tensor([[[1.0, 2.0, 10.0, 20.0]]])).tolist() == [[[11.0, 22.0]]]


def test_a_mixer_looks_three_steps_to_either_side():
    mixer = heads.Mixer(4, 6).eval()
    values = torch.zeros(1, 15, 4)
    changed = values.clone()
    changed[0, 7] = torch.randn(4)
    moved = (mixer(values) != mixer(changed)).any(-1)[0]
    assert moved.nonzero().flatten().tolist() == list(range(4, 11))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dropout": 1.0}, "model.dropout: 1.0"),
        ({"dropout": float("nan")}, "model.dropout"),
        ({"map_to_seq": -1}, "model.map_to_seq: -1"),
        ({"rnn_hidden": 0}, "model.rnn_hidden: 0"),
        ({"head": "mixer", "between": "summed"}, "head=mixer has no recurrent layers"),
    ],
)
def test_settings_that_cannot_be_are_refused(changed, message):
    with pytest.raises(BadSettings, match=message):
        recogniser.Settings(**changed)


def test_dropout_works_while_training_alone():
    model, images = tiny("resnet", dropout=0.5), torch.randn(2, 1, 32, 64)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    assert not torch.equal(model(images).logits, model(images).logits)
    model.eval()
    assert torch.equal(model(images).logits, model(images).logits)


def test_a_model_folder_from_before_the_shared_settings_loads():
    loaded = modelfolder.load(WORDS)
    assert set(loaded.config["model"]["settings"]) == {"channels", "leaky_relu", "map_to_seq", "rnn_hidden"}
    assert (loaded.model.settings.head, loaded.model.settings.stn) == ("lstm", False)
    assert loaded.model(torch.randn(1, 1, 32, 100)).logits.shape == (1, 24, 37)
    argv = ["model=crnn_small", f"init_from={WORDS}"]
    _, model, _ = starting.build(config.read(workbench.Settings, "teacher", argv))
    assert torch.equal(model.dense.weight, loaded.model.dense.weight)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the exporter's own
@pytest.mark.parametrize(
    ("name", "head"),
    [
        *((name, "lstm") for name in TINY),
        ("crnn", "gru"),
        ("densenet", "linear"),
        ("resnet", "mixer"),
        ("svtr", "linear"),
    ],
)
def test_a_recogniser_exports_with_a_free_width(tmp_path, name, head):
    pytest.importorskip("onnx", reason="needs the extra `onnx`")
    runtime = pytest.importorskip("onnxruntime", reason="needs the extra `onnx`")
    model = tiny(name, head=head, stn=True).eval()
    torch.onnx.export(
        _Answer(model).eval(), (torch.randn(2, 1, 32, 104),), str(tmp_path / "m.onnx"), dynamo=False,
        opset_version=17, input_names=["x"], dynamic_axes={"x": {0: "n", 3: "w"}},
    )  # fmt: skip
    session = runtime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    for n, width in ((1, 64), (3, 332)):
        images = torch.randn(n, 1, 32, width)
        with torch.inference_mode():
            wanted = model(images).logits
        found = torch.from_numpy(session.run(None, {"x": images.numpy()})[0])
        assert torch.allclose(found, wanted, atol=1e-3)


class _Answer(torch.nn.Module):
    """The logits alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model(images).logits
