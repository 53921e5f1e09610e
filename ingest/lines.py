"""A list of millions of lines, kept as the file's own bytes, mapped, and 8 bytes per line for its place."""

import re

import numpy as np

from shards.errors import BadData

BOM = b"\xef\xbb\xbf"
WINDOW = 1 << 20  # bytes looked at together
NEWLINE = ord("\n")
WEIGHTS = np.random.Generator(np.random.Philox(0)).integers(0, 1 << 63, 4096, np.uint64) | np.uint64(1)


class Lines:
    """The lines of a file (uint8 [bytes]), without their ends; row r stands on line r + 1.

    Every line is UTF-8 and fits the pattern (over bytes, without the line's end), and none comes twice:
    otherwise a BadData with the file's name, the line and what was `expected`.
    """

    def __init__(self, data: np.ndarray, name: str, pattern: bytes, expected: str) -> None:
        self.data, self.name = data, name
        start, row = (len(BOM) if data[: len(BOM)].tobytes() == BOM else 0), 0
        windows = (data[at : at + WINDOW] for at in range(0, len(data), WINDOW))
        most = sum(np.count_nonzero(window == NEWLINE) for window in windows) + 1
        self.starts, hashes = np.empty(most + 1, np.int64), np.empty(most, np.uint64)
        whole = re.compile(b"(?:(?:" + pattern + rb")\r?(?:\n|\Z))*+")
        while start < len(data):
            window = data[start : start + WINDOW].tobytes()
            if start + len(window) < len(data):
                window = window[: window.rfind(b"\n") + 1]
            self._check(window, whole, row, expected)
            places = _places(window)
            self.starts[row : row + len(places)] = places + start
            hashes[row : row + len(places)] = _hashes(window, places)
            row, start = row + len(places), start + len(window)
        self.starts[row] = len(data)
        self.starts = self.starts[: row + 1]
        self._refuse_twins(hashes[:row])

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, row: int) -> str:
        return self.data[self.starts[row] : self.starts[row + 1]].tobytes().rstrip(b"\r\n").decode()

    def _check(self, window: bytes, whole: re.Pattern[bytes], rows: int, expected: str) -> None:
        fit = whole.match(window)
        end = fit.end() if fit else 0
        try:
            window[:end].decode()
        except UnicodeDecodeError as error:
            line = rows + window.count(b"\n", 0, error.start) + 1
            raise BadData(f"{self.name}:{line}: not UTF-8 ({error.reason})") from None
        if end < len(window) or not window:
            text = window[end : end + 200].split(b"\n", 1)[0]
            line = rows + window.count(b"\n", 0, end) + 1
            raise BadData(f"{self.name}:{line}: expected {expected}: {text!r}")

    def _refuse_twins(self, hashes: np.ndarray) -> None:
        ordered = np.sort(hashes)
        for value in np.unique(ordered[1:][ordered[1:] == ordered[:-1]]):
            first: dict[str, int] = {}
            for row in map(int, np.flatnonzero(hashes == value)):
                if first.setdefault(self[row], row) != row:
                    text = self[row]
                    raise BadData(f"{self.name}:{row + 1}: {text!r} stands on line {first[text] + 1} already")


def _places(window: bytes) -> np.ndarray:
    """int64 [lines]: where the lines of a window begin."""
    ends = np.flatnonzero(np.frombuffer(window, np.uint8) == NEWLINE)
    places = np.concatenate([[0], ends + 1])
    return places[:-1] if places[-1] == len(window) else places


def _hashes(window: bytes, places: np.ndarray) -> np.ndarray:
    """uint64 [lines]: equal for equal lines, and hardly ever for others."""
    codes = np.frombuffer(window, np.uint8)
    lengths = np.diff(places, append=len(window))
    column = np.arange(len(window)) - np.repeat(places, lengths)
    text = np.where((codes == NEWLINE) | (codes == ord("\r")), 0, codes).astype(np.uint64)
    return np.add.reduceat(text * WEIGHTS[column % len(WEIGHTS)], places)
