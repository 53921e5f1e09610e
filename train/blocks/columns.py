"""How a trunk's last map becomes one vector per column: [N,D,h,L] to [N,L,width], by name.

joined: the rows one after another, as in published weights; mean: their mean; attended: their mean with
weights that are read off each position, as a learnt query's attention over the rows (after the vertical half
of SVTRv2's feature rearrangement, Du et al. 2024, with one head and no projection of the values).
Letters: N samples, L time steps, D numbers per position, h rows of the map.
"""

from torch import Tensor, nn


class Joined(nn.Module):
    """All rows in one vector, the channel outermost."""

    def __init__(self, depth: int, rows: int) -> None:
        super().__init__()
        self.width = depth * rows

    def forward(self, values: Tensor) -> Tensor:
        """[N,D,h,L] to [N,L,D*h]."""
        return values.permute(0, 3, 1, 2).flatten(2)


class Mean(nn.Module):
    """The mean of the rows."""

    def __init__(self, depth: int, rows: int) -> None:
        super().__init__()
        self.width = depth

    def forward(self, values: Tensor) -> Tensor:
        """[N,D,h,L] to [N,L,D]."""
        return values.mean(2).transpose(1, 2)


class Attended(nn.Module):
    """The rows weighted: a softmax over a column's rows of one number from each position."""

    def __init__(self, depth: int, rows: int) -> None:
        super().__init__()
        self.width = depth
        self.score = nn.Linear(depth, 1, bias=False)

    def forward(self, values: Tensor) -> Tensor:
        """[N,D,h,L] to [N,L,D]."""
        values = values.permute(0, 3, 2, 1)  # [N,L,h,D]
        return (self.score(values).softmax(2) * values).sum(2)


class Centred(nn.Module):
    """Each number of the column vectors with mean 0 and variance 1 over the batch (Ioffe and Szegedy 2015).

    Without scale and shift: it has no parameters. Every step of Adam moves the layer behind a wide column of
    rectified numbers far from 0, and what tells pictures apart becomes a small part of what it says:
    recurrent gates stay where its mean puts them.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(width, affine=False)

    def forward(self, values: Tensor) -> Tensor:
        """[N,L,D] to the same."""
        return self.norm(values.transpose(1, 2)).transpose(1, 2)


COLUMNS: dict[str, type[Joined | Mean | Attended]] = {"joined": Joined, "mean": Mean, "attended": Attended}
