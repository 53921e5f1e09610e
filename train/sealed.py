"""A sealed folder: a few files and their sha256sums, swapped in whole and checked on every reading.

A new version is written to `<folder>.part`; then the standing one moves to `<folder>.old`, the new one into
its place, and the old one goes. A reader finds one version or the other whatever happens in between, and with
`update` either has the files of others that stood in the folder.
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from shards.errors import BadData, BadSettings
from shards.storage import sync

SUMS = "sha256sums"  # as `sha256sum -c` reads it


def write(folder: Path, content: dict[str, bytes]) -> None:
    """Puts these files, and nothing else, in the folder's place; a folder that is not sealed is kept."""
    folder = Path(os.path.abspath(folder))
    heal(folder)
    if folder.exists() and not (folder / SUMS).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadSettings(f"{folder} holds something else (no {SUMS}); it is not replaced")
    _beside(folder)[0].mkdir(parents=True)
    _swap(folder, content)


def update(folder: Path, content: dict[str, bytes]) -> None:
    """Puts these files in the place of the sealed ones; whatever else stands in the folder stays in it."""
    folder = Path(os.path.abspath(folder))
    heal(folder)
    own = {SUMS, *_checked(folder, ())}
    shutil.copytree(
        folder, _beside(folder)[0], symlinks=True, copy_function=_linked,
        ignore=lambda at, _: own if Path(at) == folder else (),
    )  # fmt: skip
    _swap(folder, content)


def _linked(source: str, target: str) -> None:
    """The same file under a second name, so that either folder may go; a copy where none is allowed."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)


def _swap(folder: Path, content: dict[str, bytes]) -> None:
    """Completes the new version, which stands beside the folder, and puts it in its place."""
    part, old = _beside(folder)
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(content.items())]
    for name, data in (content | {SUMS: "".join(lines).encode()}).items():
        with open(part / name, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    for place, _, _ in os.walk(part):
        sync(Path(place))
    if folder.exists():
        os.replace(folder, old)
    os.replace(part, folder)
    sync(folder.parent)
    if old.exists():
        shutil.rmtree(old)


def read(folder: Path, names: Sequence[str]) -> tuple[Path, dict[str, bytes]]:
    """Where the newest whole version stands, and its files; BadData names the one that is missing or differs.

    Touches nothing: it may run beside a writer, and reads again if the folder was swapped meanwhile.
    """
    folder = Path(os.path.abspath(folder))
    while True:
        before = _identity(folder)
        place = _standing(folder)
        try:
            return place, _checked(place, names)
        except BadData:
            if _identity(folder) == before:
                raise


def heal(folder: Path) -> None:
    """Ends a swap that a crash cut short; only for the folder's owner, when nobody is writing it."""
    folder = Path(os.path.abspath(folder))
    standing = _standing(folder)
    if standing != folder:
        os.replace(standing, folder)
    for rest in _beside(folder):
        if rest.exists():
            shutil.rmtree(rest)


def _beside(folder: Path) -> tuple[Path, Path]:
    return folder.with_name(folder.name + ".part"), folder.with_name(folder.name + ".old")


def _standing(folder: Path) -> Path:
    """The folder itself or, after a crash between the two renames, the whole version beside it."""
    part, old = _beside(folder)
    if folder.exists() or not old.exists():
        return folder
    try:
        _checked(part, ())
    except BadData:
        return old
    return part


def _checked(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Every sealed file of a folder, compared with its checksum; `names` must be among them."""
    if not folder.is_dir():
        raise BadData(f"{folder}: no such folder")
    sums = {}
    for number, line in enumerate(_bytes(folder / SUMS).decode("utf-8", "replace").splitlines(), start=1):
        digest, gap, name = line.partition("  ")
        if not gap or not name or Path(name).name != name:
            raise BadData(f"{folder / SUMS}:{number}: not a checksum line: {line[:100]!r}")
        sums[name] = digest
    lost = [name for name in names if name not in sums]
    if lost:
        raise BadData(f"{folder / SUMS}: no checksum of {', '.join(lost)}")
    content = {name: _bytes(folder / name) for name in sums}
    for name, data in content.items():
        if hashlib.sha256(data).hexdigest() != sums[name]:
            hint = f"if the change was meant: sha256sum {' '.join(sums)} > {SUMS}"
            raise BadData(f"{folder / name}: differs from its checksum in {SUMS} ({hint})")
    return content


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}") from None


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        return folder.stat().st_ino, folder.stat().st_mtime_ns
    except OSError:
        return None
