"""The contract of distill.methods, over the folder: a new method is tested the moment it exists.

What single methods promise beside it stands in test_methods_<topic>.py.
"""

import pytest
import torch
from torch import Tensor

from distill.codecs import Kept, dense
from distill.methods import NEEDS, Weighted
from shards import lookup
from tests.distill.worlds import CROPS, WHOLE, N, holed, make, world_of
from train.models import Output

MEMBERS = lookup.members("distill.methods")
WORLDS = {name: world_of(name) for name in MEMBERS}


def made(name: str):
    """A method as it is by default, and the world that it is for."""
    world = WORLDS[name]
    return make(name, world.sides), world


def flagged(flag: str) -> list[str]:
    return [n for n in MEMBERS if getattr(lookup.find("distill.methods", n).Method, flag, False)]


def pull(loss: Tensor, student: Output) -> list[Tensor]:
    """The gradients that reach what the student answers."""
    leaves = [student.logits, *student.features.values()]
    found = torch.autograd.grad(loss.sum(), leaves, allow_unused=True)
    return [g for g in found if g is not None]


def finite(method, student: Output, told) -> bool:
    loss = method(student, told)
    return bool(torch.isfinite(loss).all() and all(torch.isfinite(g).all() for g in pull(loss, student)))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loss_is_finite_per_sample_and_differentiable(name):
    method, world = made(name)
    student = world.output(world.logits(1))
    loss = method(student, world.lesson(world.logits(2)))
    assert loss.shape == (N,)
    assert loss.dtype == torch.float32
    pulled = pull(loss, student)
    assert all(torch.isfinite(g).all() for g in pulled)
    assert sum(g.abs().sum() for g in pulled) > 0


@pytest.mark.parametrize("name", MEMBERS)
def test_a_method_says_what_it_needs_and_where_it_comes_from(name):
    module, (method, _) = lookup.find("distill.methods", name), made(name)
    assert isinstance(module.Settings(), Weighted)
    assert method.needs
    assert method.needs <= set(NEEDS)
    assert bool(getattr(method, "taps", ())) == ("features" in method.needs)
    for line in (module.PAPER, module.FORMULA):
        assert line.strip() == line
        assert line
        assert "\n" not in line


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loss_is_finite_for_huge_logits_and_lower_precision(name):
    method, world = made(name)
    for logits in (world.logits(1, 1e4), world.logits(1).bfloat16()):
        assert finite(method, world.output(logits), world.lesson(world.logits(2, 1e4)))


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loss_is_finite_for_a_teacher_that_excludes_all_answers_but_one(name):
    method, world = made(name)
    for sure in world.sure():
        for scale in (1.0, 1e4):
            assert finite(method, world.output(world.logits(1, scale)), world.lesson(sure, kept=sure))


@pytest.mark.parametrize("name", MEMBERS)
def test_autocast_changes_nothing(name):
    method, world = made(name)
    student, told = world.output(world.logits(1)), world.lesson(world.logits(2))
    plain = method(student, told)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(method(student, told), plain)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_loss_does_not_depend_on_the_order_of_the_batch(name):
    method, world = made(name)
    student, teacher = world.logits(1), world.logits(2)
    order = [3, 1, 5, 0, 2, 4]
    whole = method(world.output(student), world.lesson(teacher))
    turned = method(world.output(student[order], order), world.lesson(teacher[order], order))
    assert torch.allclose(turned, whole[order], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in MEMBERS if n not in flagged("couples")])
def test_a_loss_does_not_depend_on_the_rest_of_the_batch(name):
    method, world = made(name)
    student, teacher = world.logits(1), world.logits(2)
    whole = method(world.output(student), world.lesson(teacher))
    alone = method(world.output(student[:1], [0]), world.lesson(teacher[:1], [0]))
    assert torch.allclose(alone, whole[:1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", flagged("couples"))
def test_a_method_that_says_it_couples_samples_does(name):
    method, world = made(name)
    student, teacher = world.logits(1), world.logits(2)
    whole = method(world.output(student), world.lesson(teacher))
    alone = method(world.output(student[:3], WHOLE[:3]), world.lesson(teacher[:3], WHOLE[:3]))
    assert not torch.allclose(alone, whole[:3], rtol=1e-3)


@pytest.mark.parametrize("name", MEMBERS)
def test_rows_that_are_not_valid_change_no_other_and_pull_nothing(name):
    few, valid = [0, 2, 3, 5], torch.tensor([True, False, True, True, False, True])
    method, world = made(name)
    logits, teacher = world.logits(1), world.logits(2)
    student = world.output(logits)
    loss = method(student, holed(world.lesson(teacher), valid))
    alone = method(world.output(logits[few], few), world.lesson(teacher[few], few))
    assert torch.allclose(loss[few], alone, rtol=1e-5, atol=1e-5)
    assert torch.isfinite(loss).all()
    for gradient in pull(torch.where(valid, loss, 0.0), student):
        assert torch.isfinite(gradient).all()
        assert not gradient[~valid].any()


@pytest.mark.parametrize("name", MEMBERS)
def test_a_batch_without_a_valid_row_is_finite(name):
    method, world = made(name)
    told, student = world.lesson(world.logits(2)), world.output(world.logits(1))
    told.batch.valid[:] = False
    assert finite(method, student, told)


@pytest.mark.parametrize("name", MEMBERS)
def test_no_gradient_reaches_the_teacher(name):
    method, world = made(name)
    told = world.lesson(world.logits(2))
    method(world.output(world.logits(1)), told).sum().backward()
    answers = [told.log_probs, *told.features.values(), *([] if told.cells is None else [told.cells])]
    assert not any(answer.requires_grad for answer in answers)


@pytest.mark.parametrize("name", flagged("divergence"))
def test_a_divergence_and_its_gradient_vanish_where_student_and_teacher_agree(name):
    method, world = made(name)
    student = world.output(world.logits(1), seed=6)
    loss = method(student, world.lesson(student.logits.detach(), seed=6))
    assert loss.abs().max() < 1e-5
    assert max(g.abs().max() for g in pull(loss, student)) < 2e-6


@pytest.mark.parametrize("name", [n for n in MEMBERS if WORLDS[n] is CROPS])
def test_what_the_codec_kept_gives_nearly_the_same_loss(name):
    method, world = made(name)
    shapes = world.sides.teacher
    teacher, student = world.logits(2).log_softmax(-1), world.logits(1)
    codec = dense.Codec(shapes.frames, shapes.classes, Kept("dense"))
    kept = codec.decode(codec.encode(teacher)[0])
    live = method(world.output(student), world.lesson(teacher))
    assert torch.allclose(method(world.output(student), world.lesson(teacher, kept=kept)), live, rtol=2e-3)
