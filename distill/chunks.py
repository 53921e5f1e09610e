"""Chunks of a zarr v3 array on a local disk, written whole and read by memory map.

Without a compressor a chunk file is the raw C-order little-endian array followed by its crc32c, so any zarr
reader opens the arrays while training maps them, which is far faster in random batches. A chunk is written
under a temporary name, synced and renamed: there is none or a whole one.
"""

import functools
import hashlib
import json
from pathlib import Path

import google_crc32c
import numpy as np
import torch

from distill.codecs import Array
from shards.errors import BadData
from shards.written import write_bytes

LIMIT = 64 << 20  # bytes of a chunk: what a writer holds, and what a first touch reads
DOCUMENT = (
    "zarr_format", "node_type", "shape", "data_type", "chunk_grid", "chunk_key_encoding", "codecs",
    "fill_value",
)  # fmt: skip
CRC = 4  # bytes at the end of a chunk file


def rows_of_chunk(rows_per_shard: int, widest: int) -> int:
    """Rows of a chunk: those of a shard, halved until `widest` bytes per row stay under LIMIT."""
    rows = rows_per_shard
    while rows * widest > LIMIT and rows % 2 == 0:
        rows //= 2
    return rows


def array_document(array: Array, rows: int, chunk_rows: int) -> bytes:
    """zarr.json of an array of `rows` samples."""
    import zarr
    from zarr.codecs import Crc32cCodec
    from zarr.storage import MemoryStore

    documents: dict = {}
    zarr.create_array(
        store=MemoryStore(documents),
        shape=(rows, *array.shape),
        chunks=(chunk_rows, *array.shape),
        dtype=array.dtype,
        fill_value=array.fill if np.dtype(array.dtype).kind == "f" else int(array.fill),
        compressors=[Crc32cCodec()],
    )
    return documents["zarr.json"].to_bytes()


def same_document(path: Path, content: bytes) -> bool:
    """Whether a zarr.json says what `content` says; versions of zarr may write it otherwise."""
    try:
        found, wanted = json.loads(path.read_bytes()), json.loads(content)
        return all(found[key] == wanted[key] for key in DOCUMENT if key in wanted)
    except (OSError, ValueError, LookupError, TypeError):
        return False


@functools.cache
def group_document() -> bytes:
    """zarr.json of a group."""
    import zarr
    from zarr.storage import MemoryStore

    documents: dict = {}
    zarr.create_group(store=MemoryStore(documents))
    return documents["zarr.json"].to_bytes()


def chunk_path(array: Array, number: int) -> str:
    """The file of a chunk, relative to its array's folder."""
    return "/".join(["c", str(number), *("0" for _ in array.shape)])


def digest(values: np.ndarray) -> str:
    """sha256 of the values of an array."""
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def empty(array: Array, rows: int) -> np.ndarray:
    """A chunk in which every sample is absent."""
    return np.full((rows, *array.shape), array.fill, array.dtype)


def write(path: Path, block: np.ndarray) -> None:
    """Writes a chunk [rows, ...] whole."""
    data = block.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, data + google_crc32c.value(data).to_bytes(CRC, "little"))


def present(path: Path, array: Array, rows: int) -> None:
    """Refuses a chunk file that is missing or cut, by its size."""
    if not path.exists():
        raise BadData(f"{path}: chunk is missing; run distill/record.py again")
    found, whole = path.stat().st_size, rows * array.bytes + CRC
    if found != whole:
        raise BadData(f"{path}: {found} bytes, the chunk has {whole}; run distill/record.py again")


def open_chunk(path: Path, array: Array, rows: int, verified: bool) -> np.ndarray:
    """The chunk [rows, ...], mapped; its crc32c is checked unless it was `verified` before."""
    present(path, array, rows)
    if not verified:
        data = path.read_bytes()
        if google_crc32c.value(data[:-CRC]) != int.from_bytes(data[-CRC:], "little"):
            raise BadData(f"{path}: chunk differs from its crc32c; run distill/record.py again")
    # torch maps privately and keeps no file open; numpy and mmap would keep one for every chunk
    mapped = torch.from_file(str(path), shared=False, size=rows * array.bytes + CRC, dtype=torch.uint8)
    found = mapped.numpy()[:-CRC].view(array.dtype).reshape(rows, *array.shape)
    found.flags.writeable = False
    return found
