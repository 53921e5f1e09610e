"""Suppression against a loop over shapely's polygons."""

import pytest
import shapely
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from train import nms as module
from train.nms import iou_matrix, iou_quads, nms, nms_quads

coordinates = st.integers(0, 20).map(float) | st.floats(0, 20, width=32)
boxes = st.lists(coordinates, min_size=4, max_size=4)
quads = st.lists(st.lists(coordinates, min_size=2, max_size=2), min_size=4, max_size=4)
levels = st.sampled_from([0.1, 0.25, 0.5, 0.9])  # few, so that many are equal
bounds = st.sampled_from([0.3, 0.45, 0.6])


def hull(points):
    return shapely.MultiPoint(points).convex_hull


def overlap(a, b) -> float:
    whole = a.union(b).area
    return a.intersection(b).area / whole if whole else 0.0


def greedy(shapes, scores, iou, limit):
    """The textbook loop; None where a pair lies too close to the bound for two ways of rounding."""
    left = sorted((i for i in range(len(shapes)) if shapes[i].area > 1e-9), key=lambda i: (-scores[i], i))
    kept = []
    for i in left:
        found = [overlap(shapes[i], shapes[k]) for k in kept]
        if any(abs(value - iou) < 1e-5 for value in found):
            return None
        if all(value <= iou for value in found):
            kept.append(i)
    return kept[:limit]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(boxes, levels), max_size=12), bounds, st.integers(1, 14), st.sampled_from([2, 1024])
)
def test_boxes_stay_as_in_the_textbook(rows, iou, limit, block):
    shapes = [shapely.box(*b) if b[2] > b[0] and b[3] > b[1] else shapely.Point(0, 0) for b, _ in rows]
    if any(0 < shape.area < 1e-6 for shape in shapes):
        return
    right = greedy(shapes, [s for _, s in rows], iou, limit)
    given_boxes = torch.tensor([b for b, _ in rows], dtype=torch.float64).reshape(-1, 4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = nms(given_boxes, torch.tensor([s for _, s in rows]), iou, limit)
    assert right is None or found.tolist() == right


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(quads, levels), max_size=10), bounds, st.integers(1, 12), st.sampled_from([2, 1024])
)
def test_quads_stay_as_in_the_textbook(rows, iou, limit, block):
    shapes = [hull(q) for q, _ in rows]
    if any(0 < shape.area < 1e-6 for shape in shapes):
        return
    right = greedy(shapes, [s for _, s in rows], iou, limit)
    given_quads = torch.tensor([q for q, _ in rows], dtype=torch.float64).reshape(-1, 4, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BLOCK", block)
        found = nms_quads(given_quads, torch.tensor([s for _, s in rows]), iou, limit)
    assert right is None or found.tolist() == right


@settings(max_examples=60, deadline=None)
@given(st.lists(quads, min_size=1, max_size=5), st.lists(quads, min_size=1, max_size=5))
def test_overlaps_are_those_of_shapely(first, second):
    found = iou_quads(torch.tensor(first), torch.tensor(second))
    for i, a in enumerate(first):
        for j, b in enumerate(second):
            if min(hull(a).area, hull(b).area) > 1e-6:
                assert float(found[i, j]) == pytest.approx(overlap(hull(a), hull(b)), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(st.lists(boxes, min_size=1, max_size=5), st.lists(boxes, min_size=1, max_size=5))
def test_boxes_and_quads_measure_alike(first, second):
    a, b = (torch.tensor(some, dtype=torch.float64) for some in (first, second))
    a, b = (torch.cat([t[:, :2].minimum(t[:, 2:]), t[:, :2].maximum(t[:, 2:])], 1) for t in (a, b))
    as_quads = [t[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) for t in (a, b)]
    torch.testing.assert_close(iou_matrix(a, b), iou_quads(*as_quads), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_candidates_that_are_none_are_never_kept(bad):
    good = torch.tensor([[0.0, 0, 4, 2], [9, 9, 9, 12], [3, 3, 1, 1], [bad, 0, 4, 4], [20, 0, 24, 2]])
    scores = torch.tensor([0.1, 0.9, 0.8, 0.7, bad])
    assert nms(good, scores, 0.5, 9).tolist() == [0]
    corners = good[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
    assert nms_quads(corners[[0, 1, 3, 4]], scores[[0, 1, 3, 4]], 0.5, 9).tolist() == [0]
    assert nms(good[:0], scores[:0], 0.5, 9).tolist() == []
    assert nms_quads(corners[:0], scores[:0], 0.5, 9).tolist() == []


def test_no_more_than_the_limit_stay_and_the_best_of_them():
    left = torch.arange(3000) * 10.0
    apart = torch.stack([left, left * 0, left + 5, left * 0 + 5], 1)
    assert nms(apart, left / 30000, 0.5, 1100).tolist() == list(range(2999, 1899, -1))
    assert nms(apart.half()[:50], left[:50].half(), 0.5, 2).tolist() == [49, 48]
