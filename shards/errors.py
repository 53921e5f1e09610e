"""How a stage can end before it is done: one exception per exit code (0 done, 2, 3, 4, 85)."""

from typing import Any


class Stop(Exception):
    """Ends a stage; `code` is the exit code of the process and stands in status.json.

    result: what the stage had found before, for its JSON line.
    """

    code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(message)
        self.result: dict[str, Any] = {}


class BadSettings(Stop):
    """A setting, name or launch that cannot be; the message lists what exists."""

    code = 2


class BadData(Stop):
    """Data that cannot be read; the message names the file and, where there is one, the line."""

    code = 3


class GateFailed(Stop):
    """A promised quality was not reached."""

    code = 4


class Preempted(Stop):
    """The run was asked to stop; its state is saved and the same command goes on."""

    code = 85
