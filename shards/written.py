"""JSON and bytes as files: never half a file, equal bytes for equal values, and a seal that tells of changes.

Of a sealed file, `seal` is the digest of all that stands beside it, and the file's bytes are those that its
content is written as, so no bit of it changes unnoticed. Files of earlier versions, without a seal, are read
as they are.
"""

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from shards import storage
from shards.errors import BadData

SEAL = "seal"


class Damaged(BadData):
    """A sidecar or manifest that is not what was written; `ingest.shard` writes it again."""


def canonical(value: object) -> bytes:
    """JSON bytes that are equal for equal values: sorted keys, no spaces, utf-8."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()


def digest(value: object) -> str:
    """sha256 of the canonical JSON, in hex."""
    return hashlib.sha256(canonical(value)).hexdigest()


def write_json(path: Path, value: object) -> None:
    """Writes sorted, indented JSON by a temporary name and a rename: never half a file."""
    write_bytes(path, _text(value))


def _text(value: object) -> bytes:
    return (json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1) + "\n").encode()


def seal(path: Path, value: dict[str, object]) -> None:
    """Writes a JSON object and its seal."""
    write_json(path, _sealed(value))


def _sealed(value: dict[str, object]) -> dict[str, object]:
    return {**value, SEAL: digest(value)}


def write_bytes(path: Path, data: bytes) -> None:
    """Writes a whole file by a temporary name, fsync and a rename; to an address, as one object."""
    if storage.is_address(path):
        path.write_bytes(data)  # an object appears whole
        return
    part = path.with_name(path.name + ".part")
    with open(part, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)


@contextmanager
def growing(path: Path) -> Iterator[TextIO]:
    """A utf-8 text that is written piece by piece and gets its name, or its address, when it is whole; what
    of a file's name was no utf-8 is written as it was; what killed runs left of it half written is removed.
    OSError, at once, where nothing can be written.
    """
    if not storage.is_address(path):
        for left in path.parent.glob(f"{glob.escape(path.name)}.????????{storage.PART}"):
            shutil.rmtree(left, ignore_errors=True)  # a file of such a name is somebody else's, and stays
    with storage.desk(path.parent, path.name) as desk:
        part = desk / path.name
        with open(part, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            yield file
        storage.publish(part, path)


def read_json(path: Path) -> dict:
    """The JSON object in a file; absent or damaged is a BadData that names the file."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise Damaged(f"{path}: no such file") from None
    except (ValueError, OSError, RecursionError) as error:
        raise Damaged(f"{path}: not readable as JSON ({error})") from None
    if not isinstance(value, dict):
        raise Damaged(f"{path}: expected a JSON object")
    return value


def unsealed(path: Path, format: int) -> dict:
    """The content of a sealed file of a format, without the seal."""
    raw = read_json(path)
    content = {key: value for key, value in raw.items() if key != SEAL}
    if SEAL in raw and not _written_as(path, content):
        raise Damaged(f"{path}: changed after it was written; run ingest.shard again with the same settings")
    if content.get("format") != format:
        error = BadData if SEAL in raw else Damaged  # a seal says that it was meant
        raise error(f"{path}: format {content.get('format')}, this version reads {format}")
    return content


def _written_as(path: Path, content: dict) -> bool:
    try:
        return path.read_bytes() == _text(_sealed(content))
    except ValueError:  # half a surrogate pair, which no text that is written holds
        return False
