"""Pictures of many widths, each read at its own edge: nothing depends on what stands beside or behind it."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.lookup import find
from shards.read import Shards
from shards.sample import Record, Word
from train import ctc, judging, modelfolder, predict
from train.blocks.heads import HEADS
from train.tasks.recognise import Settings, Task

SPEC = ImageSpec(width=128, fit="keep", buckets=[32, 64, 128])
ASKED = ["image.fit=keep", "image.width=128", "image.buckets=[48,64,128]"]
FEW = {"channels": [4] * 7, "map_to_seq": 8, "rnn_hidden": 8}
SMALL = {"channels": [8, 8, 16], "blocks": [1, 1, 1], "local": 2, "head_width": 8}


def made(name="crnn", spec=SPEC, **more):
    torch.manual_seed(0)
    member = find("train.models", name)
    return member.Model(member.Settings(**(FEW if name == "crnn" else SMALL), **more), spec, 11).eval()


def pictures(widths, spec=SPEC):
    """Canvases as the reader makes them: padding beyond each width."""
    images = torch.randn(len(widths), 1, 32, spec.width, generator=torch.Generator().manual_seed(1))
    images[torch.arange(spec.width) >= torch.tensor(widths)[:, None, None, None].expand(-1, 1, 32, -1)] = 0.0
    return images


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("name", ["crnn", "svtr"])
def test_an_answer_depends_on_no_other_picture_of_the_batch(name, head):
    model, widths = made(name, head=head), [128, 20, 64, 65, 3, 32, 90]
    images = pictures(widths)
    with torch.no_grad():
        together = model(images, torch.tensor(widths))
        for row, width in enumerate(widths):
            alone = model(images[row : row + 1], torch.tensor([width]))
            assert torch.allclose(together.logits[row], alone.logits[0], atol=1e-5)
            assert together.steps[row] == alone.steps[0]
    assert together.logits.shape == (7, model.frames, 11)


def test_what_stands_behind_the_edge_is_never_looked_at():
    model, widths = made(), [30, 64, 61]
    images = pictures(widths)
    noise = images.clone()
    for row, edge in enumerate([32, 64, 64]):
        noise[row, ..., edge:] = 9.0
    with torch.no_grad():
        assert torch.equal(*(model(x, torch.tensor(widths)).logits for x in (images, noise)))


def test_beyond_its_own_steps_a_picture_says_blank_for_certain():
    model = made()
    with torch.no_grad():
        output = model(pictures([30, 128]), torch.tensor([30, 128]))
    assert output.steps.tolist() == [6, 31]
    assert (output.logits[0, 6:].softmax(-1)[:, 0] == 1).all()
    assert (output.logits[1].softmax(-1)[:, 0] < 1).all()


def test_no_width_means_that_the_canvas_is_full():
    model, images = made(), pictures([128, 128])
    with torch.no_grad():
        assert torch.equal(model(images).logits, model(images, torch.tensor([128, 128])).logits)
        plain = made(spec=replace(SPEC, buckets=[]))
        assert torch.allclose(plain(images).logits, model(images).logits, atol=1e-6)


@pytest.mark.parametrize("head", sorted(HEADS))
@given(length=st.integers(1, 9), more=st.integers(0, 5))
def test_a_head_reads_its_own_steps_as_if_there_were_no_others(head, length, more):
    torch.manual_seed(0)
    layers, _ = HEADS[head](6, 5, "dense" if head in ("lstm", "gru") else "joined")
    values = torch.randn(2, length + more, 6)
    whole, cut, steps = values, values[:1, :length], torch.tensor([length, length + more])
    with torch.no_grad():
        for layer in layers.values():
            whole, cut = layer(whole, steps), layer(cut)
    assert torch.allclose(whole[0, :length], cut[0], atol=1e-6)


def test_ctc_of_the_whole_is_ctc_of_a_pictures_own_steps():
    model, widths = made(), [40, 128]
    with torch.no_grad():
        output = model(pictures(widths), torch.tensor(widths))
    symbols, lengths = torch.tensor([3, 4, 4, 5, 6]), torch.tensor([3, 2])
    own = ctc.ctc_loss(output.logits, symbols, lengths, output.steps)
    for row, (label, steps) in enumerate(zip([[3, 4, 4], [5, 6]], output.steps.tolist(), strict=True)):
        cut = output.logits[row : row + 1, :steps]
        alone = ctc.ctc_loss(cut, torch.tensor(label), torch.tensor([len(label)]))
        assert own[row].item() == pytest.approx(alone.item(), rel=1e-5)
    assert torch.allclose(own, ctc.ctc_loss(output.logits, symbols, lengths), rtol=1e-4)


def test_a_label_longer_than_a_pictures_own_steps_costs_nothing_and_is_told():
    task = Task(Settings(characters="abcdefghij"), SPEC)
    output = made()(pictures([12]), torch.tensor([12]))
    targets = task.encode([record("abcd")])
    terms = task.loss(output, targets)
    assert (terms["task"].item(), terms["infeasible"].item()) == (0.0, 1.0)


def record(text):
    return Record((Word(text),), (12, 32), "")


def test_edges_that_a_model_cannot_take_are_refused():
    with pytest.raises(BadSettings, match=r"image\.width: 33, crnn has columns of 4"):
        made(spec=replace(SPEC, buckets=[33, 128]))
    with pytest.raises(BadSettings, match=r"model\.stn: it moves what image\.buckets measured"):
        made(stn=True)


def test_batches_of_a_run_hold_one_edge_and_weights_of_roots_are_refused(bench, words):
    opened = bench(f"data.root={words}", *ASKED, "fit.batch=16")
    seen = {}
    for batch in opened.train_loader.batches(0):
        edges = opened.settings.image.edge(batch.widths.numpy())
        assert set(edges) == {batch.images.shape[-1]}
        seen |= dict.fromkeys(batch.uids[batch.valid].tolist(), int(edges[0]))
    assert len(seen) == 96
    assert len(set(seen.values())) > 1
    with pytest.raises(BadSettings, match=r"a mixture with image\.buckets would have more steps"):
        bench(f"data.root={words}", "data.weights=[1]", *ASKED)


def test_views_are_the_same_whatever_they_are_read_with(bench, words):
    opened = bench(f"data.root={words}", *ASKED, "fit.batch=16", "augment=strong", "data.views=2")
    batch = next(iter(opened.train_loader.batches(1)))
    everything = judging.still_loader(opened.train, opened.task, 96)
    everything.augment = opened.train_loader.augment
    whole = everything.batch(everything.plan.part(0, 0), view=1)
    place = {uid: row for row, uid in enumerate(whole.uids.tolist())}
    for row, uid in enumerate(batch.uids.tolist()):
        if batch.view[row] == 1:
            theirs = whole.images[place[uid], ..., : batch.images.shape[-1]]
            assert torch.equal(batch.images[row], theirs)


@pytest.mark.slow
def test_a_model_of_buckets_is_trained_judged_and_asked_alike(train, words, tmp_path):
    train("run", *ASKED, "fit.epochs=1", "fit.ema=.9")
    folder = tmp_path / "run" / "best"
    assert json.loads((folder / "config.json").read_text())["image"]["buckets"] == [48, 64, 128]
    shards, loaded, reader = Shards([str(words)], "val"), modelfolder.load(folder), predict.Reader(folder)
    meter = judging.judge(loaded.model, loaded.task, judging.still_loader(shards, loaded.task, 7))
    told = {uid: (text, score) for uid, _, text, score in meter.detail()}
    for position, uid in enumerate(shards.uids.tolist()):
        (reading,) = reader.read([shards.image(position)])
        assert reading.text == told[uid][0]
        assert reading.score == pytest.approx(told[uid][1], rel=1e-3)
    assert len({score for _, score in told.values()}) > 16
