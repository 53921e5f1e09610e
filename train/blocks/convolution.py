"""What several trunks share: a convolution with its normalisation and rectifier, and where a trunk halves."""

from torch import nn

from shards.errors import BadSettings


def conv(
    into: int, out: int, kernel: int, *, stride: tuple[int, int] = (1, 1), groups: int = 1,
    act: type[nn.Module] | None = nn.ReLU,
) -> nn.Sequential:  # fmt: skip
    """Convolution without bias, padded to keep the size, batch normalisation, and `act` if there is one."""
    layers = [
        nn.Conv2d(into, out, kernel, stride, kernel // 2, groups=groups, bias=False), nn.BatchNorm2d(out)
    ]  # fmt: skip
    return nn.Sequential(*layers, *([act(inplace=True)] if act else []))


def halvings(count: int, column: int) -> list[tuple[int, int]]:
    """Strides (of the height, of the width) of a trunk that halves the height `count` times.

    column: pixels of width that a time step stands for, a power of two: the width is halved until it is so.
    """
    known = [2**i for i in range(count + 1)]
    if column not in known:
        raise BadSettings(f"model.column: {column} (there are: {', '.join(map(str, known))})")
    return [(2, 2 if 2**i < column else 1) for i in range(count)]


def halved(size: int, into: int) -> int:
    """What strided convolutions leave of `size` pixels, strides multiplying to `into`: each rounds up."""
    return -(-size // into)
