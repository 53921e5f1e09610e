"""Contract 2, the columns: what planning, checking and reading need of a shard without touching its tar.

One structured row per written sample, memory-mapped from `<stem>.columns.npy`; the texts stand in
`<stem>.labels`.
"""

from pathlib import Path

import numpy as np

from shards.errors import BadData

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


def load(path: Path, mapped: bool = True) -> np.ndarray:
    """The columns [samples], memory-mapped or read; a file of another layout is a BadData that names it.

    Who goes through all of many files reads them: pages of a map stay in memory once they were touched.
    """
    try:
        columns = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadData(f"{path}: not readable as columns ({error})") from None
    if columns.dtype != DTYPE or columns.ndim != 1:
        raise BadData(f"{path}: columns of another layout: {columns.dtype}")
    return columns


def label(labels: bytes | np.memmap, row: np.void) -> str | None:
    """The text of a column row, or None."""
    size = int(row["label_size"])
    if size < 0:
        return None
    start = int(row["label_offset"])
    return bytes(labels[start : start + size]).decode()
