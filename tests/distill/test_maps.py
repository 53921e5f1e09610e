import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from distill import maps
from shards.errors import BadSettings
from tests.distill.worlds import CROPS, MAPS, SCENES

CANVAS, GRID = (64, 96), (8, 12)  # H != W: cells of 8 x 8 pixels


def cells(*boxes) -> list[set[tuple[int, int]]]:
    """(row, column) of the cells that each box covers."""
    found = maps.covered(torch.tensor([boxes], dtype=torch.float32), CANVAS, GRID)
    assert found.shape == (1, len(boxes), *GRID)
    return [{(int(y), int(x)) for y, x in one.nonzero()} for one in found[0]]


def test_a_box_sets_exactly_the_cells_it_overlaps_rows_being_y():
    wide, edge, corner = cells((17, 9, 41, 20), (16, 8, 40, 24), (95, 63, 200, 90))
    assert wide == {(y, x) for y in (1, 2) for x in (2, 3, 4, 5)}
    assert edge == {(y, x) for y in (1, 2) for x in (2, 3, 4)}  # what ends on a line overlaps nothing behind
    assert corner == {(7, 11)}


def test_boxes_without_area_or_out_of_the_picture_set_nothing():
    assert (
        cells((0, 0, 0, 0), (20, 20, 20, 50), (50, 30, 40, 40), (-30, 5, 0, 9), (96, 0, 120, 9))
        == [set()] * 5
    )


sides = st.floats(-20, 120, width=16)


@given(st.tuples(sides, sides, sides, sides), st.tuples(st.integers(1, 9), st.integers(1, 9)))
def test_covered_cells_are_those_that_share_an_area_with_the_box(box, grid):
    found = maps.covered(torch.tensor([[box]]), (60, 84), grid)[0, 0]
    for y in range(grid[0]):
        for x in range(grid[1]):
            high, wide = 60 / grid[0], 84 / grid[1]
            shared = min(box[2], (x + 1) * wide) - max(box[0], x * wide)
            tall = min(box[3], (y + 1) * high) - max(box[1], y * high)
            if abs(shared) > 1e-4 and abs(tall) > 1e-4:
                assert bool(found[y, x]) == (shared > 0 and tall > 0)


def test_words_that_are_not_judged_are_neither_object_nor_background():
    told = SCENES.lesson(SCENES.logits(0), [2, 4])  # two words and one that is not judged; none
    mask, nowhere = maps.objects(told, GRID)
    assert mask.shape == nowhere.shape == (2, 1, *GRID)
    each, _ = maps.words(told, GRID)
    assert each[0].any(0).equal(mask[0, 0].bool())
    assert each[0, 2].sum() == 0
    spared = (mask + nowhere)[0, 0] == 0
    assert {(int(y), int(x)) for y, x in spared.nonzero()} <= {
        (y, x) for y in range(3, 8) for x in range(6, 12)
    }
    assert spared[7, 11]
    assert mask[1].sum() == 0
    assert nowhere[1].sum() == GRID[0] * GRID[1]


def test_pooling_reads_a_map_at_the_middle_of_each_bin():
    y, x = torch.meshgrid((torch.arange(8) + 0.5) * 8, (torch.arange(12) + 0.5) * 8, indexing="ij")
    boxes = torch.tensor([[[10.0, 12.0, 82.0, 44.0], [30.0, 20.0, 38.0, 24.0]]])
    found = maps.pooled(torch.stack([x, y])[None], boxes, CANVAS, 4)
    assert found.shape == (1, 2, 2, 4, 4)
    assert torch.allclose(found[0, 0, 0], torch.tensor([19.0, 37.0, 55.0, 73.0]).expand(4, 4), atol=1e-3)
    assert torch.allclose(found[0, 0, 1].T, torch.tensor([16.0, 24.0, 32.0, 40.0]).expand(4, 4), atol=1e-3)
    assert torch.allclose(found[0, 1, 1, :, 0], torch.tensor([20.5, 21.5, 22.5, 23.5]), atol=1e-3)


def test_pooling_agrees_with_torch_and_goes_on_as_the_border_outside_of_the_picture():
    feature = torch.randn(2, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    boxes = torch.tensor([[[-20.0, 12.0, 82.0, 44.0]], [[70.0, 50.0, 130.0, 90.0]]])
    at = (torch.arange(4) + 0.5) / 4
    low, size = boxes[:, 0, None, None, :2], (boxes[:, 0, 2:] - boxes[:, 0, :2])[:, None, None]
    y, x = torch.meshgrid(at, at, indexing="ij")
    places = (low + torch.stack([x, y], -1) * size) / torch.tensor([96.0, 64.0]) * 2 - 1
    wanted = functional.grid_sample(feature, places, padding_mode="border", align_corners=False)
    assert torch.allclose(maps.pooled(feature, boxes, CANVAS, 4)[:, 0], wanted, atol=1e-5)


def test_tasks_that_say_where_words_stand_are_taken_and_others_refused():
    for world in (SCENES, MAPS):
        maps.check("difference", world.sides)
    with pytest.raises(BadSettings, match=r"method=difference: looks where words stand.*task=boxes"):
        maps.check("difference", CROPS.sides)
