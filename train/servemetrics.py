"""What a server counts of itself, in the text format of Prometheus.

Source of the format: https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate

KIND = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # upper bounds of buckets
IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)


class Count:
    """A number that only grows, for each value of its labels."""

    kind = "counter"

    def __init__(self, name: str, told: str, labels: Sequence[str]) -> None:
        self.name, self.told, self.labels = name, told, tuple(labels)
        self.values: Counter[tuple[str, ...]] = Counter()

    def add(self, *values: str) -> None:
        """One more of these labels."""
        self.values[values] += 1

    def lines(self) -> Iterator[str]:
        """A line for each value of the labels."""
        for values, count in sorted(self.values.items()):
            yield f"{self.name}{_labelled(zip(self.labels, values, strict=True))} {count}"


class Histogram:
    """How many observations were at most each of the bounds."""

    kind = "histogram"

    def __init__(self, name: str, told: str, bounds: Sequence[float]) -> None:
        self.name, self.told, self.bounds = name, told, tuple(bounds)
        self.counts, self.sum = [0] * (len(self.bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        """One observation."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def lines(self) -> Iterator[str]:
        """The buckets, each with those below it; then sum and count."""
        counts = list(accumulate(self.counts))
        for bound, count in zip([*map(str, self.bounds), "+Inf"], counts, strict=True):
            yield f"{self.name}_bucket{_labelled([('le', bound)])} {count}"
        yield f"{self.name}_sum {self.sum}"
        yield f"{self.name}_count {counts[-1]}"


class Gauge:
    """A number that is asked for when it is told."""

    kind = "gauge"

    def __init__(self, name: str, told: str, value: Callable[[], float]) -> None:
        self.name, self.told, self.value = name, told, value

    def lines(self) -> Iterator[str]:
        """The one line."""
        yield f"{self.name} {self.value()}"


Metric = Count | Histogram | Gauge


def written(metrics: Sequence[Metric]) -> str:
    """All of them as a text to be scraped."""
    found = []
    for one in metrics:
        found += [f"# HELP {one.name} {one.told}", f"# TYPE {one.name} {one.kind}", *one.lines()]
    return "\n".join(found) + "\n"


def _labelled(pairs) -> str:
    def quoted(value: str) -> str:
        return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")

    return "{" + ",".join(f'{name}="{quoted(value)}"' for name, value in pairs) + "}"
