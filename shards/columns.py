"""Contract 2, the columns: what planning, checking and reading need of a shard without touching its tar.

One structured row per written sample in `<stem>.columns.npy`; the texts stand in `<stem>.labels`.
"""

from pathlib import Path
from struct import Struct
from struct import error as StructError
from typing import NamedTuple

import numpy as np

from shards.errors import BadData
from shards.held import Held

# label_size -1 = no text; a scene's texts are joined by newlines, which no label can hold.
# group = first 8 bytes of sha256 of Meta.group (of the key where there is none): splits never cut a group.
DTYPE = np.dtype(
    [
        ("row", "<u8"),
        ("image_offset", "<u8"),
        ("image_size", "<u4"),
        ("json_offset", "<u8"),
        ("json_size", "<u4"),
        ("image_sha256", "u1", (32,)),
        ("json_sha256", "u1", (32,)),
        ("width", "<u4"),
        ("height", "<u4"),
        ("label_offset", "<u8"),
        ("label_size", "<i4"),
        ("words", "<u4"),
        ("group", "<u8"),
    ]
)


def save(path: Path, columns: np.ndarray) -> None:
    """Writes columns [samples] as .npy under the given name."""
    with open(path, "wb") as file:
        np.lib.format.write_array(
            file, np.ascontiguousarray(columns, DTYPE), version=(1, 0), allow_pickle=False
        )


class Row(NamedTuple):
    """A row of the columns, by the same names."""

    row: int
    image_offset: int
    image_size: int
    json_offset: int
    json_size: int
    image_sha256: bytes
    json_sha256: bytes
    width: int
    height: int
    label_offset: int
    label_size: int
    words: int
    group: int


PACKED = Struct("<QQIQI32s32sIIQiIQ")  # DTYPE to the struct module, which is faster with one row


class Rows:
    """The columns of a shard, each row read when it is asked for."""

    def __init__(self, path: Path) -> None:
        self._start = path.stat().st_size - load(path).nbytes
        self._file = Held(path)

    def __getitem__(self, place: int) -> Row:
        """A row; a BadData where the file was cut off since it was opened, or cannot be read any more."""
        try:
            data = self._file.read(self._start + place * PACKED.size, PACKED.size)
            return Row._make(PACKED.unpack(data))
        except (OSError, StructError):
            raise BadData(f"{self._file.path}: row {place} is lost; run ingest.shard again") from None


def load(path: Path) -> np.ndarray:
    """The columns [samples]; a file of another layout is a BadData that names it."""
    try:
        columns = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadData(f"{path}: not readable as columns ({error})") from None
    if columns.dtype != DTYPE or columns.ndim != 1:
        raise BadData(f"{path}: columns of another layout: {columns.dtype}")
    return columns


def label(labels: bytes, row: Row) -> str | None:
    """The text of a column row, or None."""
    if row.label_size < 0:
        return None
    return labels[row.label_offset : row.label_offset + row.label_size].decode()
