"""Changes of the task's loss: what holds for each of the folder, and each formula against its definition."""

import math

import pytest
import torch
from torch import nn

from shards import lookup
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.loader import Batch
from train import losses
from train.models import Output, crnn
from train.steps import TaskStep
from train.tasks.recognise import Settings, Targets, Task

NAMES = lookup.members("train.losses")
TASK = Task(Settings(characters="abc"), ImageSpec())
FEATURES = {"conv6": (8, 1, 24), "sequence": (6, 8), "rnn2": (6, 16)}


def member(name, **more):
    torch.manual_seed(1)
    module = lookup.find("train.losses", name)
    return module.Loss(module.Settings(**more), TASK, FEATURES)


def targets(*labels) -> Targets:
    """Labels as classes; None: a label that cannot teach."""
    spelled = [TASK.charset.encode(label or "") for label in labels]
    symbols = torch.tensor([c for one in spelled for c in one], dtype=torch.int64)
    usable = torch.tensor([label is not None for label in labels])
    return Targets(symbols, torch.tensor([len(one) for one in spelled]), usable)


def answer(n: int, steps: int = 6, seed: int = 0) -> Output:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(n, steps, TASK.channels, generator=generator).requires_grad_()
    features = {"rnn2": torch.randn(n, steps, 16, generator=generator).requires_grad_()}
    return Output(logits, features=features)


LABELS = targets("ab", "", None, "abcabca", "cc")


def changed(name, output=None, labels=LABELS, **more):
    output = output or answer(len(labels.lengths))
    loss = TASK.loss(output, labels)["task"]
    return loss, member(name, **more)(loss, output, labels), output


@pytest.mark.parametrize("name", NAMES)
def test_a_sample_that_cannot_teach_costs_and_pulls_nothing_and_the_others_pull(name):
    _, found, output = changed(name)
    assert all(v.shape == (5,) and v.dtype == torch.float32 for v in found.values())
    assert found["task"][2] == found["task"][3] == 0  # no label, and one that six steps cannot spell
    assert all(torch.isfinite(v).all() for v in found.values())
    pulls = torch.autograd.grad(
        found["task"].sum(), [output.logits, output.features["rnn2"]], allow_unused=True
    )
    assert all(not p[2].any() and torch.isfinite(p).all() for p in pulls if p is not None)
    assert pulls[0][0].any()


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_is_its_samples_one_by_one(name):
    _, whole, output = changed(name)
    for i, label in enumerate(("ab", "", None, "abcabca", "cc")):
        part = Output(output.logits[i : i + 1], features={"rnn2": output.features["rnn2"][i : i + 1]})
        _, one, _ = changed(name, part, targets(label))
        for term in whole:
            torch.testing.assert_close(one[term][0], whole[term][i], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_beyond_its_own_steps_nothing_of_a_sample_counts(name):
    whole, own = answer(1), 4
    silent = torch.full((1, 2, TASK.channels), -1e4)
    silent[..., 0] = 0.0
    cut = Output(whole.logits[:, :own], features={"rnn2": whole.features["rnn2"][:, :own]})
    padded = Output(torch.cat([cut.logits, silent], 1), features=whole.features, steps=torch.tensor([own]))
    for label in ("ab", "aab", "", "abcab"):  # the last one needs five steps
        terms = [changed(name, output, targets(label))[1] for output in (cut, padded)]
        for term, value in terms[0].items():
            torch.testing.assert_close(terms[1][term], value, rtol=1e-4, atol=1e-5)
    assert terms[1]["task"] == 0


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"focal"}))
def test_a_weight_of_nothing_is_the_tasks_loss(name):
    loss, found, _ = changed(name, weight=0.0)
    torch.testing.assert_close(found["task"], loss)


def test_focal_is_the_loss_weighted_by_what_is_missed():
    loss, found, _ = changed("focal", alpha=0.5, gamma=1.5)
    torch.testing.assert_close(found["task"], 0.5 * (1 - (-loss).exp()) ** 1.5 * loss)
    assert torch.equal(found["ctc"], loss.detach())
    plain, same, _ = changed("focal", gamma=0.0)
    torch.testing.assert_close(same["task"], plain)


def test_ace_is_least_where_the_mean_answer_has_the_labels_counts():
    label = targets("aab")
    wanted = torch.tensor([3.0, 2.0, 1.0, 1e-9]) / 6  # of blank, a, b, c in six steps
    fitting = wanted.log().expand(1, 6, 4).clone()
    entropy = -(wanted[:3] * wanted[:3].log()).sum()
    _, found, _ = changed("ace", Output(fitting, features={"rnn2": torch.zeros(1, 6, 16)}), label)
    assert found["ace"].item() == pytest.approx(entropy.item(), rel=1e-5)
    for seed in range(20):
        assert changed("ace", answer(1, seed=seed), label)[1]["ace"].item() > entropy


def test_dctc_asks_for_the_likeliest_alignment_and_nothing_once_it_is_there():
    sure = torch.full((1, 6, 4), -20.0)
    sure[0, range(6), [1, 1, 0, 2, 0, 0]] = 20.0
    output = Output(sure.requires_grad_(), features={"rnn2": torch.zeros(1, 6, 16)})
    _, found, _ = changed("dctc", output, targets("ab"))
    assert found["dctc"].item() == pytest.approx(0.0, abs=1e-4)
    _, found, output = changed("dctc", answer(1), targets("ab"), weight=1.0)
    rows = output.logits.log_softmax(-1)[0]
    # six steps, so that every path can be listed: gamma by its definition
    paths = torch.cartesian_prod(*[torch.arange(4)] * 6)
    spells = torch.tensor([_collapsed(path) == [1, 2] for path in paths.tolist()])
    scores = rows[torch.arange(6), paths].sum(1).exp()[spells]
    gamma = torch.zeros(6, 4)
    for t in range(6):
        gamma[t].index_add_(0, paths[spells][:, t], scores.detach())
    assert found["dctc"].item() == pytest.approx(-rows[range(6), gamma.argmax(1)].sum().item(), rel=1e-5)


def _collapsed(path):
    return [c for i, c in enumerate(path) if c and (i == 0 or path[i - 1] != c)]


def test_the_attention_head_learns_to_spell_and_never_looks_ahead():
    head, output = member("attention", width=16, heads=2, tap="rnn2"), answer(3)
    labels = targets("abc", "ca", "b")
    optimizer = torch.optim.Adam(head.parameters(), lr=0.01)
    terms = []
    for _ in range(60):
        term = head(torch.zeros(3), output, labels)["attention"]
        optimizer.zero_grad()
        term.sum().backward()
        optimizer.step()
        terms.append(term.sum().item())
    assert terms[-1] < 0.1 * terms[0]
    spelled, known = head._spelled(labels)
    assert spelled.tolist() == [[1, 2, 3, 0], [3, 1, 0, 0], [2, 0, 0, 0]]
    assert known.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0], [1, 1, 0, 0]]
    one = Output(output.logits[:1], features={"rnn2": output.features["rnn2"][:1]})
    (first,), (second,) = (head.letters(one, targets(label))[0] for label in ("abca", "abba"))
    torch.testing.assert_close(first[:2], second[:2])  # what comes later changes nothing before it
    assert (first[2:] != second[2:]).all()


@pytest.mark.parametrize(
    ("name", "bad", "says"),
    [
        ("focal", {"gamma": -1.0}, "loss.focal.gamma"),
        ("focal", {"alpha": 0.0}, "loss.focal.alpha"),
        ("ace", {"weight": math.nan}, "loss.ace.weight"),
        ("dctc", {"weight": -0.1}, "loss.dctc.weight"),
        ("attention", {"width": 10, "heads": 3}, "3 does not divide width 10"),
        ("attention", {"tap": "conv6"}, "no 'conv6' .*sequence, rnn2"),
    ],
)
def test_settings_that_cannot_be_are_refused(name, bad, says):
    with pytest.raises(BadSettings, match=says):
        member(name, **bad)


def test_focal_weighs_the_tasks_own_loss_or_is_refused():
    chosen = {n: lookup.find("train.losses", n).Settings() for n in ("ace", "focal")}
    with pytest.raises(BadSettings, match=r"focal .* must stand first"):
        losses.make(chosen, nn.Identity(), TASK)


def test_changes_apply_in_their_order_and_their_weights_train_beside_the_model():
    settings = crnn.Settings(channels=[4, 4, 4, 4, 4, 4, 8], map_to_seq=8, rnn_hidden=8)
    model = crnn.Model(settings, TASK.image, TASK.channels)
    chosen = {n: lookup.find("train.losses", n).Settings() for n in ("focal", "attention", "dctc", "ace")}
    step = TaskStep(model, TASK, losses.make(chosen, model, TASK))
    labels = targets("ab", "c")
    batch = Batch.__new__(Batch)
    object.__setattr__(batch, "widths", torch.tensor([100, 100]))
    object.__setattr__(batch, "images", torch.rand(2, 1, 32, 100))
    object.__setattr__(batch, "targets", labels)
    object.__setattr__(batch, "valid", torch.tensor([True, True]))
    object.__setattr__(batch, "denominator", 2.0)
    found = step(batch)
    assert step.formula == "task then focal then attention then dctc then ace"
    whole = found["attention"] + 0.05 * found["dctc"] + 0.1 * found["ace"]
    output = step.answer(batch)
    focal = member("focal")(TASK.loss(output, labels)["task"], output, labels)["task"].mean()
    torch.testing.assert_close(found["loss"], whole + focal, rtol=1e-4, atol=1e-4)
    found["loss"].backward()
    assert all(p.grad is not None for p in step.parameters())
    assert isinstance(step.changes, nn.ModuleDict)
