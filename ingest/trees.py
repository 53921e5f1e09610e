"""Where raw files stand, here or at an address: a folder, or a plain tar of it. Both offer four things.

- `read(path)` -> bytes, or an OSError;
- `mapped(path)` -> the same as a memory map [bytes], for lists too long to hold, or an OSError; of a remote
  file, of its copy here;
- `holding(name)`: the folders in which a file of that name stands ("" = the top);
- `place(path)`: what an error message calls a file.
"""

import shlex
from contextlib import suppress
from pathlib import Path

import numpy as np

from ingest.listing import existing
from ingest.tarball import Tar
from shards import storage
from shards.errors import BadSettings
from shards.storage import copied

GZIP = b"\x1f\x8b"
DEPTH = 6  # levels below root that are searched for a list: the release wraps its folder in four


class Folder:
    """A folder on disk."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self, path: str) -> bytes:
        """The bytes of a file."""
        return storage.content(self.path / path)

    def mapped(self, path: str) -> np.ndarray:
        """uint8 [bytes] of a file, mapped into memory."""
        file = self.path / path
        return np.memmap(copied(file), np.uint8, "r") if file.stat().st_size else np.empty(0, np.uint8)

    def holding(self, name: str) -> list[str]:
        """Folders that hold `name`, the nearest first. Numbered ones hold millions of pictures, no list."""
        found, level = [], [self.path]
        for _ in range(DEPTH):
            found += [at.relative_to(self.path).as_posix() for at in level if (at / name).is_file()]
            level = [below for at in level for below in _subfolders(at)]
        return ["" if at == "." else at for at in found]

    def place(self, path: str) -> str:
        """The path of a file."""
        return str(self.path / path)


def _subfolders(folder: Path) -> list[Path]:
    found: list[Path] = []
    with suppress(PermissionError):
        found = [
            at for at in folder.iterdir() if not at.name.isdigit() and not at.is_symlink() and at.is_dir()
        ]
    return sorted(found)


def opened(root: str) -> Folder | Tar:
    """The tree at `root`; a gzipped one is a BadSettings with the line that unpacks it."""
    path = storage.place(root)
    if not root or not path.is_file():
        return Folder(existing(root))
    with path.open("rb") as file:
        if file.read(len(GZIP)) != GZIP:
            return Tar(copied(path))
    name = path.name.removesuffix(".gz").removesuffix(".tgz").removesuffix(".tar")
    plain = path.with_name(f"{name}.tar" if f"{name}.tar" != path.name else f"{name}.plain.tar")
    raise BadSettings(
        f"root={root} is gzipped, so no row could be read without all rows before it. Type\n"
        f"    gunzip -c {shlex.quote(str(path))} > {shlex.quote(str(plain))}\nand give root={plain}"
    )
