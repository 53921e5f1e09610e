"""What every model keeps: a new file in train/models is tested the moment it exists.

A model whose default size is too large for a test gets a row in SMALL.
"""

from dataclasses import replace

import pytest
import torch

from shards import config
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.lookup import find, members
from tests.train.cases import case
from train import workbench
from train.models import Output

SMALL = {
    "crnn": {"channels": [8, 16, 24, 24, 32, 32, 32], "map_to_seq": 32, "rnn_hidden": 48},
    "db": {"channels": [8, 16, 24, 32], "blocks": 1, "neck": 16},
    "densenet": {"growth": 8, "initial": 16, "blocks": [2, 2, 2]},
    "depthwise": {
        "channels": [4, 8, 8, 8, 16, 16, 32], "map_to_seq": 32, "rnn_hidden": 48,
        "dropout": 0.0, "block_dropout": 0.0, "stn": False,
    },
    "mobilenet": {"multiplier": 0.1},
    "resnet": {"channels": [8, 16, 24, 32], "blocks": 1},
    "shufflenet": {"channels": [8, 16, 24, 32, 64]},
    "svtr": {"channels": [8, 16, 24], "blocks": [1, 2, 1], "local": 2, "head_width": 8},
    "yolo": {"size": "p"},
}  # fmt: skip
CLASSES = 11
SCENE = ImageSpec(height=384, width=640, channels="rgb", fit="letterbox")
WIDE = ImageSpec(width=280, channels="rgb")  # zhiqwang/crnn.pytorch's canvas
MODELS = members("train.models")


def build(name, image=None, classes=None):
    module, tried = find("train.models", name), case(name)
    if not getattr(module.Model, "trains", True):
        pytest.skip(f"{name} answers only, from a file: tests/train/test_{name}.py")
    torch.manual_seed(0)
    channels = classes or tried.opened(image).channels
    return module.Model(module.Settings(**SMALL.get(name, {})), image or tried.image, channels)


def size(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("canvas", ["image", "other"])
def test_logits_and_every_feature_have_their_shapes(name, canvas):
    model = build(name, getattr(case(name), canvas)).eval()
    with torch.inference_mode():
        output = model(torch.randn(3, model.image.depth, model.image.height, model.image.width))
    assert output.logits.shape == (3, model.frames, model.channels)
    assert output.grids == getattr(model, "grids", ())
    assert sum(h * w for h, w in output.grids) == (model.frames if output.grids else 0)
    assert output.features
    for feature in output.features.values():
        assert len(feature) == 3
        assert feature.isfinite().all()


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_gets_a_finite_gradient(name):
    model, tried = build(name), case(name)
    task, records = tried.opened(), tried.records(4)
    output = model(tried.pictures(records, model.image))
    task.loss(output, task.encode(records))["task"].sum().backward()
    for parameter, value in model.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all(), parameter


@pytest.mark.parametrize("name", MODELS)
def test_a_model_learns_eight_samples_by_heart(name):
    model, tried = build(name), case(name)
    task, records = tried.opened(), tried.records(8)
    images, targets = tried.pictures(records, model.image), task.encode(records)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    figure, steps = 0.0, 0
    while figure < 1 and (steps := steps + 1) < 300:
        output = model(images)
        optimiser.zero_grad()
        task.loss(output, targets)["task"].mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        meter = task.meter()
        meter.update(range(8), task.decode(output), records)
        figure = meter.compute()[task.headings[0].name]
    assert figure == 1


@pytest.mark.parametrize("name", MODELS)
def test_an_answer_depends_neither_on_the_batch_nor_on_the_memory_format(name):
    model = build(name).eval()
    images = torch.randn(5, 1, model.image.height, model.image.width)
    with torch.inference_mode():
        together = model(images).logits
        alone = torch.cat([model(images[i : i + 1]).logits for i in range(5)])
        last = images.to(memory_format=torch.channels_last)
        there = model.to(memory_format=torch.channels_last)(last).logits
    assert torch.allclose(alone, together, atol=1e-4)
    assert torch.allclose(there, together, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_a_loss_depends_on_no_other_sample_of_the_batch(name):
    model, tried = build(name).eval(), case(name)
    task, records = tried.opened(), tried.records(4)
    with torch.inference_mode():
        logits = model(tried.pictures(records, model.image)).logits
        grids = getattr(model, "grids", ())
        together = task.loss(Output(logits, grids), task.encode(records))
        for n in range(4):
            alone = task.loss(Output(logits[n : n + 1], grids), task.encode(records[n : n + 1]))
            assert {k: v[0].item() for k, v in alone.items()} == pytest.approx(
                {k: v[n].item() for k, v in together.items()}, rel=1e-4, abs=1e-6
            )


@pytest.mark.parametrize("name", MODELS)
def test_a_model_remembers_its_settings_and_image_spec(name):
    model = build(name)
    again = type(model)(model.settings, model.image, model.channels)
    shapes = [{k: v.shape for k, v in m.state_dict().items()} for m in (again, model)]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("which", range(3))
def test_a_model_runs_at_any_width_and_knows_how_many_steps_it_answers(name, which):
    tried = case(name)
    width = tried.widths[which]
    model, wide = build(name).eval(), build(name, replace(tried.image, width=width))
    with torch.inference_mode():
        answered = model(torch.randn(2, 1, tried.image.height, width)).logits
    assert answered.shape == (2, wide.frames, model.channels)


@pytest.mark.parametrize("name", ["db", "yolo"])
def test_models_of_cells_refuse_canvases_they_would_cut(name):
    with pytest.raises(BadSettings, match=rf"40x96; {name} needs multiples of 32"):
        build(name, ImageSpec(height=40, width=96))
    with pytest.raises(BadSettings, match=rf"64x48; {name} needs multiples of 32"):
        build(name, ImageSpec(height=64, width=96, fit="keep", buckets=[48, 96]))


# preset of configs/model: canvas, classes, parameters, L
PUBLISHED = {
    "crnn_large": (ImageSpec(), 37, 7_839_077, 24),
    "crnn_small": (ImageSpec(), 37, 922_629, 24),
    "crnn_rgb": (ImageSpec(channels="rgb"), 37, 8_724_133, 26),
    "crnn_shi": (ImageSpec(), 37, 8_331_301, 26),
    "densenet_cifar": (WIDE, 5990, 2_820_302, 70),
    "densenet121": (WIDE, 5990, 3_302_918, 35),
    "resnet18": (WIDE, 5990, 14_238_886, 35),
    "mobilenetv2": (WIDE, 5990, 9_897_062, 35),
    "shufflenetv2": (WIDE, 5990, 7_393_354, 35),
    "svtr_tiny": (ImageSpec(), 37, 5_110_917, 25),
    "svtr_micro": (ImageSpec(), 37, 924_885, 25),
    "svtr_nano": (ImageSpec(), 37, 128_413, 25),
    "depthwise": (ImageSpec(), 38, 2_823_089 + 3_072, 52),  # and the second biases of torch's GRU
    "db_r18": (SCENE, 2, 12_312_258, 15_360),
    "db_small": (SCENE, 2, 1_736_138, 15_360),
    "db_tiny": (SCENE, 2, 96_186, 15_360),
}


@pytest.mark.parametrize("preset", PUBLISHED)
def test_presets_have_the_sizes_they_tell(preset):
    image, classes, parameters, frames = PUBLISHED[preset]
    choice = config.read(workbench.Settings, "teacher", [f"model={preset}"]).model
    with torch.device("meta"):
        model = find("train.models", choice.name).Model(choice.settings, image, classes)
    assert size(model) == parameters
    assert model.frames == frames


@pytest.mark.parametrize("name", ["densenet", "mobilenet", "resnet", "shufflenet"])
def test_a_narrower_column_gives_more_steps_from_the_same_weights(name):
    module = find("train.models", name)
    wide, narrow = (
        module.Model(module.Settings(**SMALL[name], column=c), ImageSpec(), CLASSES).eval() for c in (4, 2)
    )
    narrow.load_state_dict(wide.state_dict())
    assert (wide.frames, narrow.frames) == (25, 50)
    with torch.inference_mode():
        assert narrow(torch.randn(1, 1, 32, 100)).logits.shape == (1, 50, CLASSES)


@pytest.mark.parametrize(
    ("name", "changed", "field"),
    [
        ("db", {"channels": [8, 8]}, "channels"),
        ("db", {"blocks": 0}, "blocks"),
        ("db", {"neck": 6}, "neck"),
        ("densenet", {"blocks": []}, "blocks"),
        ("densenet", {"growth": 0}, "growth"),
        ("densenet", {"compression": 0.0}, "compression"),
        ("densenet", {"column": 8}, "column"),
        ("depthwise", {"channels": [8]}, "channels"),
        ("depthwise", {"block_dropout": 1.0}, "block_dropout"),
        ("mobilenet", {"multiplier": 0.0}, "multiplier"),
        ("mobilenet", {"column": 3}, "column"),
        ("resnet", {"channels": [8, 8]}, "channels"),
        ("resnet", {"blocks": 0}, "blocks"),
        ("resnet", {"column": 16}, "column"),
        ("shufflenet", {"channels": [8, 15, 32, 64, 64]}, "channels"),
        ("shufflenet", {"channels": [8, 16]}, "channels"),
        ("shufflenet", {"column": 0}, "column"),
        ("svtr", {"channels": [32, 64]}, "channels"),
        ("svtr", {"channels": [32, 48, 64]}, "channels"),
        ("svtr", {"blocks": [1, 0, 1]}, "blocks"),
        ("svtr", {"local": 14}, "local"),
        ("svtr", {"head_width": 0}, "head_width"),
        ("svtr", {"expansion": 0}, "expansion"),
        ("svtr", {"drop_path": 1.0}, "drop_path"),
        ("yolo", {"width": -1.0}, "width"),
    ],
)
def test_trunks_refuse_impossible_sizes(name, changed, field):
    with pytest.raises(BadSettings, match=f"model.{field}"):
        find("train.models", name).Settings(**changed)


def test_a_canvas_too_small_for_the_trunk_is_refused():
    with pytest.raises(BadSettings, match="3x100 leaves the trunk no column"):
        build("densenet", ImageSpec(height=3))
