"""The time a run has spent training, over all its sessions, against its limit."""

import math
import re
import time

from shards.errors import BadSettings


def seconds_of(text: str, key: str = "time_limit") -> float:
    """`45m`, `2h30m`, `90s` or a number of seconds; empty = no limit."""
    if not text:
        return math.inf
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?", text)
    if not match:
        raise BadSettings(f"{key}: {text!r} is not a time like 45m, 2h30m or 90s")
    hours, minutes, rest = (int(part or 0) for part in match.groups())
    return 3600.0 * hours + 60.0 * minutes + rest


class Clock:
    """Runs from its making. before: seconds that earlier sessions have spent; limit: of all, as text."""

    def __init__(self, limit: str = "") -> None:
        self.limit, self.before = limit, 0.0
        self._seconds, self._begun = seconds_of(limit), time.monotonic()

    @property
    def spent(self) -> float:
        """Seconds of all sessions."""
        return self.before + time.monotonic() - self._begun

    @property
    def over(self) -> bool:
        """Whether the limit is reached."""
        return self.spent >= self._seconds
