"""The task `maps`: what is drawn for words, what is learnt from it, and words read back from maps."""

import numpy as np
import pytest
import shapely
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from shards.config import Choice
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.sample import Record, Word
from train.models import Output
from train.tasks.maps import Settings, Task

CANVAS = ImageSpec(height=96, width=160, fit="letterbox")


def box(left, top, right, bottom, legible=True):
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return Word("a", tuple((float(x), float(y)) for x, y in corners), legible=legible)


def record(*words):
    return Record(words, (160, 96), "here")


def opened(**changed):
    return Task(Settings(**changed), CANVAS)


def cells(values, task):
    """Maps [L] as [h,w]."""
    return values.reshape(task.grid)


def told(targets, sharpness=0.999):
    """An answer that says what the targets say."""
    maps = torch.stack([targets.kernel, targets.border], -1).clamp(1 - sharpness, sharpness)
    return Output(torch.logit(maps), (opened().grid,))


def iou(a, b):
    a, b = shapely.Polygon(a), shapely.Polygon(b)
    return a.intersection(b).area / a.union(b).area


def test_a_known_word_fills_the_cells_it_should():
    task = opened(shrink=0.5)
    # 12 x 4 cells from (5, 3): D = 48 (1 - 0.25) / 32 = 1.125; kernel: x 6.125 to 15.875, y 4.125 to 5.875
    targets = task.encode([record(box(20, 12, 68, 28))])
    kernel, border = cells(targets.kernel[0], task), cells(targets.border[0], task)
    assert targets.words.tolist() == [1.0]
    assert task.grid == (24, 40)
    rows, columns = np.nonzero(kernel.numpy())
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 5, 6, 15)
    assert kernel[4:6, 10].tolist() == pytest.approx([0.875, 0.875])
    assert kernel[4:6, 6].tolist() == pytest.approx([0.875, 0.875])
    assert border[2:5, 10].tolist() == pytest.approx([0.7 - 0.4 * d / 1.125 for d in (0.5, 0.5)] + [0.3])
    assert border[0, 0] == pytest.approx(0.3)
    inside = np.flatnonzero(cells(targets.inside[0], task)[:, 10])
    assert inside.tolist() == [2, 3, 4, 5, 6, 7]  # centres less than D outside of rows 3 to 6
    assert targets.taught.all()


def test_polygons_of_many_corners_and_those_beyond_the_canvas_are_drawn():
    task = opened()
    bent = Word("a", ((8, 8), (40, 24), (80, 8), (80, 32), (40, 48), (8, 32)))
    targets = task.encode([record(bent), record(box(-30, -10, 40, 40)), record(box(400, 0, 460, 20))])
    assert targets.words.tolist() == [1.0, 1.0, 0.0]
    kernel = cells(targets.kernel[0], task)
    assert kernel[9, 10] > 0.9  # the middle hangs low
    assert kernel[4, 10] == 0
    assert cells(targets.kernel[1], task)[0, 0] > 0.9


def test_where_words_are_not_to_be_read_or_too_small_nothing_is_learnt():
    task = opened()
    words = (box(20, 12, 68, 28, legible=False), box(100, 60, 130, 62), Word("a"))
    targets = task.encode([record(*words)])
    blind = ~cells(targets.taught[0], task)
    assert blind[3:7, 5:17].all()
    assert blind[15, 25:33].all()  # 2 pixels high: the kernel covers half of no cell
    assert blind.sum() == 4 * 12 + 8
    assert not targets.kernel.any()
    assert not targets.inside.any()
    assert targets.words.tolist() == [0.0]


def test_untaught_cells_carry_no_gradient():
    task = opened()
    targets = task.encode([record(box(20, 12, 68, 28, legible=False), box(60, 40, 120, 64)), record()])
    logits = torch.randn(2, 24 * 40, 2, requires_grad=True)
    task.loss(Output(logits, (task.grid,)), targets)["task"].sum().backward()
    moved = logits.grad.abs().sum(-1) > 0
    assert not moved[~targets.taught].any()
    assert moved[0][targets.kernel[0] > 0].all()
    assert moved[1].any()  # pictures without words teach too


@pytest.mark.parametrize("seed", range(8))
def test_the_loss_is_least_at_the_targets(seed):
    task = opened()
    targets = task.encode([record(box(20, 12, 68, 28)), record(box(60, 40, 120, 64)), record()])
    best = told(targets)
    noise = torch.randn(best.logits.shape, generator=torch.Generator().manual_seed(seed))
    at, beside = task.loss(best, targets), task.loss(Output(best.logits + noise, best.grids), targets)
    assert (at["task"] < beside["task"]).all()
    assert at["border"].max() < 1e-5
    assert at["binary"].max() < 0.05


def test_the_loss_weighs_its_terms_and_holds_in_half_precision():
    targets = opened().encode([record(box(20, 12, 68, 28))])
    output = Output(torch.randn(1, 24 * 40, 2), (opened().grid,))
    terms = opened(text=2.0, binary=3.0, border=4.0).loss(output, targets)
    whole = 2 * terms["text"] + 3 * terms["binary"] + 4 * terms["border"]
    assert terms["task"].tolist() == pytest.approx(whole.tolist())
    half = opened().loss(Output(torch.full((1, 24 * 40, 2), 3e4, dtype=torch.half), output.grids), targets)
    assert half["task"].dtype == torch.float32
    assert half["task"].isfinite().all()


def test_hard_cells_outweigh_easy_ones():
    task = opened()
    targets = task.encode([record(box(20, 12, 68, 28))])
    sure = told(targets)
    wrong = sure.logits.clone()
    wrong[0, -20:, 0] = 6.0  # few cells, far from the word
    terms = task.loss(Output(wrong, sure.grids), targets)
    assert terms["text"].item() > task.loss(sure, targets)["text"].item() + 20 * 6 / 960 * 4


@given(
    st.floats(30, 70), st.floats(30, 60), st.floats(28, 60), st.floats(16, 40), st.floats(-1.5, 1.5),
    st.lists(st.floats(-2, 2), min_size=8, max_size=8),
)  # fmt: skip
def test_quads_are_read_back_from_their_maps(x, y, width, height, angle, moved):
    flat = np.array([(-width, -height), (width, -height), (width, height), (-width, height)]) / 2
    c, s = np.cos(angle), np.sin(angle)
    quad = flat @ np.array([[c, s], [-s, c]]) + (x + 20, y) + np.array(moved).reshape(4, 2)
    assume(shapely.box(0, 0, 160, 96).contains(shapely.Polygon(quad)))
    task = opened()
    words = task.decode(told(task.encode([record(Word("a", tuple(map(tuple, quad.tolist()))))])))[0]
    assert len(words) == 1
    assert words[0].text is None
    assert words[0].score > 0.5
    assert iou(words[0].polygon, quad) > 0.7


def test_words_are_told_surest_first_from_the_top_left():
    task = opened(most=2)
    words = (box(8, 8, 60, 28), box(80, 40, 132, 60), box(8, 64, 60, 84))
    output = told(task.encode([record(*words)]))
    sure = 4 - torch.arange(24 * 40) / 320  # at most, and less downwards
    output.logits[0, :, 0] = output.logits[0, :, 0].minimum(sure)
    found = task.decode(output)[0]
    assert [iou(a.polygon, b.polygon) > 0.8 for a, b in zip(found, words, strict=False)] == [True, True]
    assert found[0].score > found[1].score
    for word in found:
        (a, b), *others = word.polygon
        assert all(a + b < u + v for u, v in others)
    assert task.decode(Output(torch.full((2, 960, 2), -9.0), (task.grid,))) == [(), ()]


def test_what_is_not_given_back_is_missing():
    whole, small = (
        opened(grow=share).decode(told(opened().encode([record(box(20, 12, 100, 52))])))[0][0]
        for share in (1.0, 0.0)
    )
    assert shapely.Polygon(small.polygon).within(shapely.Polygon(whole.polygon))


def test_another_model_a_decoder_and_calibration_are_refused():
    task = opened()
    with pytest.raises(BadSettings, match="24x40 cells, this model answers 12x20 and 6x10: use model=db"):
        task.decode(Output(torch.zeros(1, 300, 2), ((12, 20), (6, 10))))
    with pytest.raises(BadSettings, match="decoder=beam"):
        task.read_by(Choice("beam", None))
    with pytest.raises(BadSettings, match="task maps has no readings"):
        task.trials(told(task.encode([record()])), [record()], [1.0])


@pytest.mark.parametrize(
    "changed", [{"shrink": 0.0}, {"shrink": 1.0}, {"level": 1.0}, {"grow": -1.0}, {"most": 0}]
)
def test_impossible_settings_are_refused(changed):
    with pytest.raises(BadSettings, match=f"task.{next(iter(changed))}"):
        Settings(**changed)


def test_targets_move_whole():
    targets = opened().encode([record(box(20, 12, 68, 28))])
    assert targets.to("meta").kernel.device.type == "meta"
    assert torch.equal(targets.to("cpu").border, targets.border)
