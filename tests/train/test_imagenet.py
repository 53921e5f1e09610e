"""ImageNet weights in torchvision's names and shapes: taken, adapted, told of, or refused."""

import re
from pathlib import Path

import pytest
import torch

from shards import config
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train import checkpoint, imagenet, modelfolder, starting, workbench

TINY = ["model=densenet", "model.growth=4", "model.initial=8", "model.blocks=2,3", "model.column=2"]


def normal(*shape):
    return torch.randn(shape)


def norm(name, width):
    """What a batch normalisation of that width keeps."""
    kinds = {
        "weight": torch.rand,
        "bias": torch.randn,
        "running_mean": torch.randn,
        "running_var": torch.rand,
    }
    found = {f"{name}.{kind}": make(width) for kind, make in kinds.items()}
    return found | {f"{name}.num_batches_tracked": torch.tensor(7)}


def densenet(growth=32, initial=64, blocks=(6, 12, 24, 16)):
    """A state dict of torchvision's DenseNet."""
    state = {"features.conv0.weight": normal(initial, 3, 7, 7), **norm("features.norm0", initial)}
    width = initial
    for i, layers in enumerate(blocks, 1):
        for j in range(1, layers + 1):
            layer = f"features.denseblock{i}.denselayer{j}"
            state |= norm(f"{layer}.norm1", width)
            state[f"{layer}.conv1.weight"] = normal(4 * growth, width, 1, 1)
            state |= norm(f"{layer}.norm2", 4 * growth)
            state[f"{layer}.conv2.weight"] = normal(growth, 4 * growth, 3, 3)
            width += growth
        if i < len(blocks):
            state |= norm(f"features.transition{i}.norm", width)
            state[f"features.transition{i}.conv.weight"] = normal(width // 2, width, 1, 1)
            width //= 2
    state |= norm("features.norm5", width)
    return state | {"classifier.weight": normal(10, width), "classifier.bias": normal(10)}


def mobilenet():
    """A state dict of torchvision's MobileNetV2."""
    state = {"features.0.0.weight": normal(32, 3, 3, 3), **norm("features.0.1", 32)}
    into, place = 32, 1
    rows = [(1, 16, 1), (6, 24, 2), (6, 32, 3), (6, 64, 4), (6, 96, 3), (6, 160, 3), (6, 320, 1)]
    for expansion, out, blocks in rows:
        for _ in range(blocks):
            name, wide, part = f"features.{place}.conv", into * expansion, 0
            if expansion > 1:
                state |= {f"{name}.0.0.weight": normal(wide, into, 1, 1), **norm(f"{name}.0.1", wide)}
                part = 1
            state |= {f"{name}.{part}.0.weight": normal(wide, 1, 3, 3), **norm(f"{name}.{part}.1", wide)}
            state |= {f"{name}.{part + 1}.weight": normal(out, wide, 1, 1), **norm(f"{name}.{part + 2}", out)}
            into, place = out, place + 1
    state |= {f"features.{place}.0.weight": normal(1280, into, 1, 1), **norm(f"features.{place}.1", 1280)}
    return state | {"classifier.1.weight": normal(10, 1280), "classifier.1.bias": normal(10)}


def bring(tmp_path, state, *settings):
    torch.save(state, tmp_path / "w.pth")
    where = [f"weights={tmp_path / 'w.pth'}", f"out={tmp_path / 'm'}"]
    checkpoint.main(["format=torchvision", *where, *settings])
    return modelfolder.load(tmp_path / "m")


@pytest.mark.parametrize(
    ("preset", "make", "stem", "unused"),
    [
        ("densenet121_wide", densenet, "cnn.conv0.weight", 7),
        ("mobilenetv2", mobilenet, "cnn.0.0.weight", 2),
    ],
)
def test_every_tensor_of_a_trunk_is_taken_and_told(tmp_path, capsys, preset, make, stem, unused):
    state = make()
    loaded = bring(tmp_path, state, f"model={preset}", "image.channels=rgb")
    own = loaded.model.state_dict()
    for name, value in own.items():
        if name.startswith("cnn.") and name != stem:
            assert torch.equal(value, state[name.replace("cnn", "features", 1)]), name
    trunk = sum(name.startswith("cnn.") for name in own)
    told = [
        f"taken: {trunk - 1} tensors", f"adapted: 1 tensors ({stem})",
        "left fresh: 2 tensors (dense.weight, dense.bias)", f"unused: {unused} tensors",
    ]  # fmt: skip
    said = capsys.readouterr().out
    for wanted, kept in zip(told, loaded.config["source"]["tensors"], strict=True):
        assert kept.startswith(wanted)
        assert wanted in said
    assert "init_parts=cnn" in said


def test_a_training_begins_from_the_trunk(tmp_path):
    bring(tmp_path, densenet(4, 8, (2, 3)), *TINY)
    begun = ["init_parts=cnn", f"init_from={tmp_path / 'm'}", "task.charset=62", "model.head=gru"]
    _, model, _ = starting.build(config.read(workbench.Settings, "teacher", [*TINY, *begun]))
    given = modelfolder.load(tmp_path / "m").model
    assert torch.equal(model.cnn.norm5.weight, given.cnn.norm5.weight)


def test_names_and_wrappers_of_older_files_are_read(tmp_path):
    state = {
        "module." + re.sub(r"(norm|conv)([12])\.", r"\1.\2.", name): value
        for name, value in densenet(4, 8, (2, 3)).items()
        if "num_batches" not in name
    }
    loaded = bring(tmp_path, state, *TINY)
    wanted = state["module.features.denseblock2.denselayer3.conv.2.weight"]
    assert torch.equal(loaded.model.cnn.denseblock2.denselayer3.conv2.weight, wanted)
    assert "denselayer1.norm1.num_batches_tracked" in loaded.config["source"]["tensors"][2]


def test_the_same_file_gives_the_same_bytes(tmp_path):
    state = densenet(4, 8, (2, 3))
    bring(tmp_path, state, *TINY)
    first = {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()}
    torch.manual_seed(5)
    bring(tmp_path, state, *TINY)
    assert first == {path.name: path.read_bytes() for path in (tmp_path / "m").iterdir()}


@pytest.mark.parametrize(("before", "after"), [(7, 3), (7, 5), (3, 3), (5, 2)])
def test_the_first_convolution_answers_an_even_grey_as_before(before, after):
    kernel = torch.randn(6, 3, before, before)
    grey, rgb, bgr = (
        imagenet.adapted(kernel, after, ImageSpec(channels=c, std=0.5)) for c in ("grey", "rgb", "bgr")
    )
    assert grey.shape == (6, 1, after, after)
    assert torch.allclose(grey, rgb.sum(1, keepdim=True), atol=1e-5)
    assert torch.allclose(rgb.flip(1), bgr, atol=1e-5)
    scaled = (kernel * 0.5 / torch.tensor([0.229, 0.224, 0.225])[:, None, None]).sum((2, 3))
    assert torch.allclose(rgb.sum((2, 3)), scaled, atol=1e-4)


def test_a_kernel_of_the_same_size_keeps_its_shape():
    kernel = torch.randn(2, 3, 3, 3)
    kept = imagenet.adapted(kernel, 3, ImageSpec(channels="rgb", std=1.0))
    assert torch.allclose(kept[:, 0], kernel[:, 0] / 0.229, atol=1e-5)


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


REFUSED = {
    "code": (lambda s, path: s | {"x": Trap(path)}, TINY, BadData, "not a file of tensors alone"),
    "other network": (lambda s, path: mobilenet(), TINY, BadData, "no features.conv0.weight over three"),
    "one colour": (
        lambda s, path: s | {"features.conv0.weight": normal(8, 1, 7, 7)}, TINY, BadData, "over three",
    ),
    "narrow": (
        lambda s, path: s, [*TINY, "model.growth=6"], BadData,
        r"denselayer1.conv1.weight is \[16, 8, 1, 1\], the model has \[24, 8, 1, 1\]",
    ),
    "shallow": (
        lambda s, path: s, [*TINY, "model.blocks=2,2"], BadData, "no place for cnn.denseblock2.denselayer3",
    ),
    "deep": (lambda s, path: s, [*TINY, "model.blocks=3,3"], BadData, "no cnn.denseblock1.denselayer3.norm1"),
    "other trunk": (lambda s, path: s, ["model=resnet18"], BadSettings, "have no place in it"),
    "no model": (lambda s, path: s, [], BadSettings, "model= is required.*densenet121_wide"),
    "characters": (lambda s, path: s, [*TINY, "characters=a"], BadSettings, "takes no characters"),
    "data": (lambda s, path: s, [*TINY, "data.root=x"], BadSettings, "takes no data"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_and_named(tmp_path, case):
    make, settings, error, message = REFUSED[case]
    with pytest.raises(error, match=message):
        bring(tmp_path, make(densenet(4, 8, (2, 3)), tmp_path / "sprung"), *settings)
    assert not (tmp_path / "m").exists()
    assert not (tmp_path / "sprung").exists()


def test_other_formats_take_no_model(tmp_path):
    with pytest.raises(BadSettings, match="format=crnn_pytorch takes no model"):
        checkpoint.main([f"weights={Path('w.pt')}", "out=m", "model=crnn_small"])
