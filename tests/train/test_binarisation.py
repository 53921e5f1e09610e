import pytest
import torch

from train.binarisation import binary, dice


def test_a_binary_map_is_all_but_yes_or_no_and_open_where_kernel_and_border_meet():
    found = binary(torch.tensor([0.7, 0.3, 0.5]), torch.tensor([0.5, 0.5, 0.5]))
    assert found.tolist() == pytest.approx([1.0, 0.0, 0.5], abs=1e-4)
    text = torch.tensor([0.51], requires_grad=True)
    binary(text, torch.tensor([0.5])).sum().backward()
    assert text.grad.item() > 10


def test_dice_is_0_for_the_same_map_and_nears_1_for_large_ones_that_share_nothing():
    one, other = torch.tensor([[1.0, 1, 0, 0]]), torch.tensor([[0.0, 0, 1, 1]])
    assert dice(one, one).tolist() == [0.0]
    assert dice(torch.zeros(1, 4), torch.zeros(1, 4)).tolist() == [0.0]
    assert dice(one, other).item() == pytest.approx(1 - 1 / 5)
    assert dice(one, torch.tensor([[1.0, 0, 0, 0]])).item() == pytest.approx(1 - 3 / 4)
    many = one.repeat(1, 500)
    assert dice(many, 1 - many).item() == pytest.approx(1, abs=1e-3)
