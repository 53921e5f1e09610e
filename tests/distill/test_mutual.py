"""Two students that learn beside each other: what each tells the other, and that only the first is kept."""

import types
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.nn import functional

from distill import peers
from distill.lesson import Lesson
from distill.methods import dilated, hint, mutual
from distill.objective import Objective
from distill.teachers import NoTeacher
from shards.config import Choice
from shards.errors import BadSettings
from shards.image import ImageSpec
from tests.distill.worlds import CROPS, MAPS, SCENES, N, make, numbers, shapes
from train import modelfolder, workbench
from train.models import db
from train.tasks import maps

CANVAS = ImageSpec(height=64, width=96, channels="rgb", fit="letterbox")
TASK = maps.Task(maps.Settings(), CANVAS)
TINY = db.Settings(channels=[4, 4, 8, 8], blocks=1, neck=8)
WORLDS = {"crops": CROPS, "scenes": SCENES, "maps": MAPS}


def beside(world, own, peer, **settings):
    """The loss [N] of a student that answers `own` beside one that answers `peer`, and its answer."""
    output = world.output(own)
    told = replace(world.lesson(world.logits(9)), peers=(peer,))
    return make("mutual", world.sides, **settings)(output, told), output


@pytest.mark.parametrize("over", ["all", "text"])
@pytest.mark.parametrize("name", WORLDS)
def test_equal_students_have_nothing_to_tell_and_unlike_ones_tell_each_other_as_much(name, over):
    world = WORLDS[name]
    one, other = world.logits(1), world.logits(2)
    assert beside(world, one, one.clone(), over=over)[0].abs().max() < 1e-6
    there, back = (beside(world, *pair, over=over)[0] for pair in ((one, other), (other, one)))
    assert there.min() > 0
    assert torch.allclose(there, back, rtol=1e-5)


def test_strings_are_compared_class_by_class_and_cells_by_whether_there_is_text():
    one, other = CROPS.logits(1), CROPS.logits(2)
    p, q = (side.double().log_softmax(-1) for side in (one, other))
    expected = ((p.exp() - q.exp()) * (p - q)).sum(-1).mean(1) / 2  # both ways added
    assert torch.allclose(beside(CROPS, one, other)[0].double(), expected, rtol=1e-5)
    one, other = MAPS.logits(1), MAPS.logits(2)
    yes, no = (functional.logsigmoid(sign * torch.stack([one, other])[..., 0].double()) for sign in (1, -1))
    far = sum((side[0].exp() - side[1].exp()) * (side[0] - side[1]) for side in (yes, no)) / 2
    assert torch.allclose(beside(MAPS, one, other)[0].double(), far.mean(1), rtol=1e-5)
    text = yes.exp().sum(-1).mean(0)
    assert torch.allclose(beside(MAPS, one, other, over="text")[0].double(), far.sum(1) / text, rtol=1e-5)


def test_both_pull_as_the_symmetric_divergence_does_in_which_both_move():
    one, other = CROPS.logits(1), CROPS.logits(2)
    p, q = one.clone().requires_grad_(), other.clone().requires_grad_()
    a, b = p.log_softmax(-1), q.log_softmax(-1)
    (((a.exp() - b.exp()) * (a - b)).sum(-1).mean(1) / 2).sum().backward()
    for own, peer, expected in ((one, other, p.grad), (other, one, q.grad)):
        loss, output = beside(CROPS, own, peer)
        loss.sum().backward()
        assert torch.allclose(output.logits.grad, expected, atol=1e-5)


def batch(count: int = N) -> Any:
    """Rectangles of words on grey, lighter than what is around them."""
    records = [SCENES.record(i) for i in range(count)]
    images = torch.full((count, 3, 64, 96), -0.5)
    for image, record in zip(images, records, strict=True):
        for word in record.words:
            (left, top), (right, bottom) = word.polygon[0], word.polygon[2]
            image[:, max(0, int(top)) : int(bottom), int(left) : int(right)] = 1.0
    return types.SimpleNamespace(
        images=images, widths=None, targets=TASK.encode(records),
        valid=torch.ones(count, dtype=torch.bool), denominator=float(count),
    )  # fmt: skip


def pair(**methods) -> Objective:
    """Objective of two tiny students by these methods."""
    found = shapes(384, 2, neck=(8, 16, 24))

    def student(seed: int) -> Objective:
        torch.manual_seed(seed)
        return Objective(db.Model(TINY, CANVAS, 2), TASK, methods, found, found)

    made = student(0)
    made.peers.append(student(1))
    return made


def test_both_students_are_taught_by_label_teacher_and_each_other():
    made = pair(dilated=dilated.Settings(weight=0.3), mutual=mutual.Settings(weight=0.3)).eval()
    told = Lesson(batch(), torch.empty(0), cells=MAPS.logits(2))
    with torch.no_grad():
        out = made(told)
    terms = ("task", "dilated", "mutual")
    assert {*terms, *(f"peer1/{term}" for term in terms)} < set(out)
    assert out["mutual"] == pytest.approx(float(out["peer1/mutual"]), rel=1e-5)  # in eval mode: one symmetric
    assert out["task"] != out["peer1/task"]
    shares = dict(zip(terms, (0.4, 0.3, 0.3), strict=True))
    expected = sum(w * (out[term] + out[f"peer1/{term}"]) for term, w in shares.items())
    assert float(out["loss"]) == pytest.approx(float(expected), rel=1e-5)
    assert made.formula == "0.4 task + 0.3 dilated + 0.3 mutual, of 2 students each"


def test_only_the_first_is_watched_and_its_pull_is_its_own():
    made = pair(mutual=mutual.Settings())
    made.watched = True
    out = made(NoTeacher()(batch()))
    assert {name for name in out if "grad/" in name} == {"grad/task", "grad/mutual"}
    assert out["grad/mutual"] > 0


def test_trust_is_in_the_teacher_and_not_in_a_peer():
    made, told = pair(mutual=mutual.Settings()), NoTeacher()(batch())
    whole = made(told)["mutual"]
    doubted = made(replace(told, trust=torch.zeros(N, dtype=torch.bool)))
    assert (doubted["mutual"], doubted["trusted"]) == (whole, 0)


def test_each_student_has_adapters_of_its_own():
    made = pair(hint=hint.Settings(weight=0.2, taps=["neck"]), mutual=mutual.Settings(weight=0.2))
    own, other = (list(one.methods.parameters()) for one in (made, made.peers[0]))
    assert len(own) == len(other) == 1
    told = Lesson(batch(), torch.empty(0), {"neck": numbers(3, N, 8, 16, 24)})
    made(told)["loss"].backward()
    assert own[0].grad.any()
    assert other[0].grad.any()
    assert not torch.equal(own[0].grad, other[0].grad)


def test_two_tiny_students_learn_a_few_scenes_and_come_together():
    made, told = pair(mutual=mutual.Settings(weight=0.3)), NoTeacher()(batch())
    optimizer = torch.optim.AdamW(made.parameters(), 0.01)
    before = [[p.clone() for p in side.parameters()] for side in (made.model, made.peers[0].model)]
    seen = []
    for _ in range(40):
        optimizer.zero_grad()
        out = made(told)
        out["loss"].backward()
        assert all(p.grad is not None for p in made.parameters())
        optimizer.step()
        seen.append({name: value.item() for name, value in out.items()})
    for name in ("loss", "task", "peer1/task"):
        assert seen[-1][name] < 0.5 * seen[0][name], name
    assert seen[-1]["mutual"] < max(line["mutual"] for line in seen)
    for side, old in zip((made.model, made.peers[0].model), before, strict=True):
        assert not any(torch.equal(p, q) for p, q in zip(side.parameters(), old, strict=True))


def bench(seed: int = 0) -> Any:
    """As much of a workbench as a peer is made of."""
    chosen = {"task": Choice("maps", TASK.settings), "model": Choice("db", TINY), "image": CANVAS}
    torch.manual_seed(seed)
    return types.SimpleNamespace(
        settings=workbench.Settings(**chosen, seed=seed), task=TASK, model=db.Model(TINY, CANVAS, 2),
        accelerator=types.SimpleNamespace(device="cpu"),
    )  # fmt: skip


def weights(model) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in model.parameters()])


def test_a_peer_begins_with_other_weights_that_the_seed_decides_and_draws_none_of_the_runs_numbers():
    first = bench()
    stood = torch.random.get_rng_state()
    one = weights(peers.make(first))
    assert torch.equal(torch.random.get_rng_state(), stood)
    assert torch.equal(one, weights(peers.make(bench())))
    assert not torch.equal(one, weights(first.model))
    assert not torch.equal(one, weights(peers.make(bench(seed=1))))


def test_a_peer_may_begin_with_the_weights_of_a_model_folder_but_not_with_the_students_own(tmp_path):
    found = bench()
    torch.manual_seed(7)
    other = db.Model(TINY, CANVAS, 2)
    for name, model in (("other", other), ("same", found.model)):
        modelfolder.save(tmp_path / name, model, TASK, model_name="db", task_name="maps", extra={})
    assert torch.equal(weights(peers.make(found, str(tmp_path / "other"))), weights(other))
    with pytest.raises(BadSettings, match=r"peer=.*same: the second student begins with the very weights"):
        peers.make(found, str(tmp_path / "same"))
