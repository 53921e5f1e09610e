"""Steps onto steps: the reading stays wherever it fits, equal grids stay as they are."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.alignment import align, choose, needed, respace, take
from train.ctc import needed_frames
from train.decode import greedy

CLASSES = 5
paths = st.lists(st.integers(0, CLASSES - 1), min_size=1, max_size=40)


def peaky(path, sure=9.0, seed=0):
    """Log-probabilities [1,T,C] whose best path is this."""
    noise = torch.randn(1, len(path), CLASSES, generator=torch.Generator().manual_seed(seed))
    noise.scatter_add_(2, torch.tensor(path)[None, :, None], torch.full((1, len(path), 1), sure))
    return noise.log_softmax(-1)


def grid(steps):
    return (torch.arange(steps) + 0.5) / steps


def read(log_probs):
    return [reading.symbols for reading in greedy(log_probs)]


@given(paths, st.integers(1, 60), st.integers(0, 5))
@settings(max_examples=300, deadline=None)
def test_a_reading_stays_wherever_it_fits_and_rows_stay_distributions(path, frames, seed):
    given_ = peaky(path, seed=seed)
    index, fits = respace(given_, grid(len(path)), frames)
    got = take(given_, index)
    symbols = torch.tensor(read(given_)[0], dtype=torch.int64)
    assert bool(fits[0]) == bool(needed_frames(symbols, torch.tensor([len(symbols)]))[0] <= frames)
    assert (read(got) == read(given_)) or not fits[0]
    assert torch.allclose(got.exp().sum(-1), torch.ones(1, frames), atol=1e-5)
    assert (index.diff() >= 0).all()


@given(paths, st.integers(0, 5), st.floats(0, 9))
@settings(max_examples=200, deadline=None)
def test_equal_grids_map_every_step_to_itself(path, seed, sure):
    log_probs = peaky(path, sure, seed)
    index, _ = respace(log_probs, grid(len(path)), len(path))
    assert index[0].tolist() == list(range(len(path)))
    assert align(log_probs, log_probs)[0].tolist() == list(range(len(path)))


@given(st.lists(paths, min_size=2, max_size=5), st.integers(1, 30))
@settings(max_examples=50, deadline=None)
def test_a_sample_does_not_depend_on_its_neighbours(several, frames):
    size = max(map(len, several))
    together = torch.cat([peaky([*path, *[0] * (size - len(path))]) for path in several])
    index, fits = respace(together, grid(size), frames)
    for row, one in enumerate(together):
        alone = respace(one[None], grid(size), frames)
        assert torch.equal(index[row], alone[0][0])
        assert fits[row] == alone[1][0]


@pytest.mark.parametrize(
    ("path", "frames", "wanted"),
    [
        ([0, 0, 1, 0, 0, 0, 2, 0], 4, [0, 1, 0, 2]),  # a spike stays in its cell
        ([0, 1, 0, 1, 0, 0, 0, 0], 4, [1, 0, 1, 0]),  # the blank between equal letters is kept
        ([0, 1, 0, 2, 0], 10, [0, 0, 0, 1, 0, 0, 0, 2, 0, 0]),  # letters are not drawn out
        ([1, 2], 4, [1, 1, 2, 2]),  # unless there is nothing else
        ([3], 3, [3, 3, 3]),
        ([0, 0, 0, 0], 2, [0, 0]),
    ],
)
def test_steps_go_where_they_should(path, frames, wanted):
    log_probs = peaky(path, 30.0)
    index, fits = respace(log_probs, grid(len(path)), frames)
    got = torch.tensor(path)[index[0]].tolist()
    collapse = [c for i, c in enumerate(got) if c and (i == 0 or got[i - 1] != c)]
    assert bool(fits[0])
    assert collapse == list(read(log_probs)[0])
    assert got == wanted


def test_what_does_not_fit_is_said_and_costs_as_little_as_it_can():
    index, fits = respace(peaky([1, 2, 3, 4]), grid(4), 3)
    assert not fits[0]
    assert len(set(index[0].tolist())) == 3
    assert (index.diff() >= 0).all()


def test_steps_beyond_the_canvas_are_left_out_unless_they_are_letters():
    path = [0, 1, 0, 2, 0, 0, 0, 0]
    index, _ = respace(peaky(path, 30.0), grid(8) * 2, 8)
    assert torch.tensor(path)[index[0]].tolist() == [0, 0, 0, 1, 0, 0, 0, 2]
    index, fits = respace(peaky([1, 0, 0, 0, 0, 2], 30.0), grid(6) * 2, 6)
    assert bool(fits[0])
    assert index[0][-1] == 5


def test_shifted_spikes_are_brought_under_each_other():
    one, other = peaky([0, 1, 0, 2, 0, 2, 0, 0], 30.0), peaky([0, 0, 1, 0, 2, 0, 2, 0], 30.0, seed=1)
    got = take(other, align(one, other))
    assert got.argmax(-1).tolist() == one.argmax(-1).tolist()


def test_what_a_reading_needs_is_counted():
    begun, ended = needed(torch.tensor([[0, 1, 1, 0, 1, 0, 2]]))
    assert begun[0].tolist() == [0, 1, 1, 2, 3, 3, 4]
    assert ended[0].tolist() == [0, 0, 0, 1, 2, 3, 3]


def test_a_choice_of_one_step_takes_the_cheapest():
    index, fits = choose(torch.tensor([[[3.0, 1.0, 2.0]]]), torch.tensor([[0, 1, 0]]))
    assert index.tolist() == [[1]]
    assert fits.tolist() == [True]
