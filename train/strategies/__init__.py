"""Seam: one file per strategy, which says what a search tries next.

A member offers `Settings`, whose keys stand beside those of the search, and `Strategy(settings, axes)` with
    size                    how many points it proposes
    point(number, history)  the point of that number; None where there is none left
`history` is what is known of the points before, in their order, so `point` is a function of its arguments:
after a restart the same numbers are the same points.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Seen:
    """A point that was proposed, and its validation score: larger is better, None while there is none."""

    point: dict[str, str]
    score: float | None = None
