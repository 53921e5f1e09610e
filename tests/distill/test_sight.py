"""The teacher's canvas is the student's, resampled as PIL would have done, with the teacher's own padding."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from distill.sight import Sight, recolour, weights
from shards.errors import BadSettings
from shards.image import ImageSpec

STUDENT = ImageSpec(32, 100)
TEACHER = ImageSpec(48, 320, "bgr", "keep", pad=0)


def batch_of(spec, pictures):
    canvases = torch.from_numpy(np.stack([spec.canvas(p) for p in pictures])).float() / 255
    records = [SimpleNamespace(size=p.size) for p in pictures]
    return SimpleNamespace(images=(canvases - spec.mean) / spec.std, records=records)


def picture(w, h, mode="RGB", seed=0):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (3, 5, 3), dtype=np.uint8)).resize(
        (w, h), Image.Resampling.BICUBIC
    )
    return small.convert(mode)


def test_the_same_spec_sees_the_same_pixels():
    batch = batch_of(STUDENT, [picture(60, 20), picture(200, 31)])
    assert torch.allclose(Sight(STUDENT, STUDENT)(batch), batch.images, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "new"), [((32, 100), (48, 144)), ((32, 100), (16, 37)), ((48, 320), (32, 100))]
)
def test_resampling_is_that_of_torch_and_pil(size, new):
    images = torch.rand(2, 1, *size)
    axes = []
    for old, wanted in zip(size, new, strict=True):
        whole = torch.tensor([0.0, 0.0]), torch.tensor([float(old)] * 2), torch.zeros(2)
        axes.append(weights(*whole, torch.tensor([float(wanted)] * 2), old, wanted)[0])
    got = axes[0][:, None] @ images @ axes[1][:, None].transpose(-1, -2)
    wanted = functional.interpolate(images, new, mode="bilinear", antialias=True)
    assert torch.allclose(got, wanted, atol=1e-5)


@pytest.mark.parametrize(
    "student", [STUDENT, replace(STUDENT, fit="keep", width=160), replace(STUDENT, fit="letterbox")]
)
@pytest.mark.parametrize(
    "teacher", [TEACHER, replace(TEACHER, fit="stretch"), replace(TEACHER, fit="letterbox")]
)
def test_the_teacher_sees_about_what_it_would_have_made_of_the_picture_itself(student, teacher):
    pictures = [picture(96, 40, "L", 1), picture(80, 32, "L", 2), picture(150, 60, "L", 3)]
    seen = Sight(teacher, student)(batch_of(student, pictures))
    own = batch_of(teacher, pictures).images
    assert seen.shape == own.shape
    assert (seen - own).abs().mean() < 0.03
    for row, one in enumerate(pictures):
        left, top, width, height = teacher.placement(*one.size)
        outside = torch.ones(teacher.height, teacher.width, dtype=torch.bool)
        outside[top : top + height, left : left + width] = False
        assert (seen[row, :, outside] == (teacher.pad / 255 - teacher.mean) / teacher.std).all()


def test_sizes_are_width_and_height_and_long_pictures_are_pressed_together():
    seen = Sight(TEACHER, STUDENT)(batch_of(STUDENT, [picture(100, 50), picture(50, 100), picture(900, 30)]))
    inked = [(row != -1).any(0).any(0).nonzero().max().item() + 1 for row in seen]
    assert inked == [96, 24, 320]


def test_colours_change_as_pil_changes_them():
    pixels = torch.tensor([[1.0, 0.5, 0.0]])[..., None, None]
    assert recolour(pixels, "rgb", "bgr").flatten().tolist() == [0, 0.5, 1]
    assert recolour(pixels, "rgb", "grey").item() == pytest.approx(0.299 + 0.587 / 2)
    assert recolour(pixels, "bgr", "grey").item() == pytest.approx(0.114 + 0.587 / 2)
    assert recolour(pixels[:, :1], "grey", "bgr").flatten().tolist() == [1, 1, 1]


def test_steps_stand_where_the_teacher_looked():
    sight = Sight(TEACHER, STUDENT)
    batch = batch_of(STUDENT, [picture(100, 50), picture(900, 30)])  # 96 and 320 of 320 pixels
    centres = sight.centres(batch, 40)
    assert centres[0, 0].item() == pytest.approx(4 / 96)
    assert centres[0, 11].item() == pytest.approx(92 / 96)
    assert centres[0, 12].item() > 1
    assert centres[1].tolist() == pytest.approx([(t + 0.5) / 40 for t in range(40)])
    kept = Sight(TEACHER, replace(STUDENT, fit="keep", width=160)).centres(
        batch_of(replace(STUDENT, fit="keep", width=160), [picture(100, 50)]), 40
    )
    assert kept[0, 0].item() == pytest.approx(4 * 64 / 96 / 160)


def test_a_polarity_that_only_the_teacher_has_is_refused():
    with pytest.raises(BadSettings, match=r"give the student image.polarity=dark_on_light"):
        Sight(ImageSpec(polarity="dark_on_light"), ImageSpec())
    Sight(ImageSpec(), ImageSpec(polarity="dark_on_light"))
