"""Where data stands: local paths, and addresses that fsspec opens, such as s3://bucket/words.

Credentials come from the environment alone (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL, ...): they stand in no
address, manifest or log. Small files of a remote data set are copied when it is opened, shards as a whole
when they are needed (`shards.room`), all checked by their sha256; local folders are read where they are.
"""

import errno
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from shards.errors import BadData, BadSettings

ROOM = "OCR_DISTILLERY_CACHE"  # the variable that says where fetched files are kept
AT_ONCE = 8  # small files fetched at a time
MEGABYTE = 1_000_000
BLOCK = 8 * MEGABYTE  # copied at a time
LIBRARIES = ("aiohttp", "aiobotocore", "botocore")  # whose errors are told as those of the place
CREDENTIALS = (
    "credentials come from the environment: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL"
)
PART = ".part"  # how names of half-written files and of folders of such end


def is_address(text: object) -> bool:
    """Whether a path is an address that fsspec opens, and no local one."""
    return "://" in str(text) and not str(text).startswith("file://")


def place(text: str | Path) -> Path:
    """A path: pathlib's for a local one; for an address one that reads and writes there in the same words."""
    if not is_address(text):
        return Path(str(text).removeprefix("file://"))
    name, _, rest = str(text).partition("://")
    if "@" in rest.split("/")[0]:
        raise BadSettings(f"{name}://...@...: an address holds no credentials; set them in the environment")
    try:
        from upath import UPath

        found = UPath(str(text).rstrip("/"), use_listings_cache=False)
        found.fs  # noqa: B018  what the address needs is imported here
    except (ImportError, ValueError) as error:
        raise BadSettings(f"{text}: {error} (addresses need: pip install 'ocr-distillery[s3]')") from None
    return cast(Path, found)


def content(path: Path) -> bytes:
    """The bytes of a file. A pipe or a device, which may never end, is an OSError as what is barred is."""
    if not is_address(path):
        kind = os.stat(path).st_mode
        if not (stat.S_ISREG(kind) or stat.S_ISDIR(kind)):
            raise OSError(errno.EINVAL, "neither a file nor a folder", str(path))
    return path.read_bytes()


def below(folder: Path) -> Iterator[Path]:
    """All that stands below a folder, if there is one, at any depth. A folder that may not be read is an
    OSError: what stands there would be lost without a word.
    """
    if is_address(folder):
        yield from folder.rglob("*")
        return
    for at, folders, files in os.walk(folder, onerror=_unreadable):
        yield from (Path(at, name) for name in (*folders, *files))


def _unreadable(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise error


def room() -> Path:
    """The folder of all fetched files."""
    return Path(os.environ.get(ROOM) or Path.home() / ".cache" / "ocr-distillery")


def mirror(folder: str | Path) -> Path:
    """The local folder in which files of a remote one are kept: named by its address."""
    return room() / hashlib.sha256(str(folder).rstrip("/").encode()).hexdigest()[:16]


class File(NamedTuple):
    """A file of a data set: where it is, and what it must be."""

    path: Path
    bytes: int
    sha256: str

    @property
    def local(self) -> Path:
        """Where it stands on this disk."""
        return mirror(self.path.parent) / self.path.name if is_address(self.path) else self.path


def fetch(files: list[File]) -> None:
    """Copies the remote ones among files that are not here yet."""
    missing = [file for file in files if is_address(file.path) and not _here(file)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(_fetch, missing))


def _here(file: File) -> bool:
    if not file.local.exists() or file.local.stat().st_size != file.bytes:
        return False
    with open(file.local, "rb") as copy:  # another data set may have stood at this address
        return hashlib.file_digest(copy, "sha256").hexdigest() == file.sha256


def _fetch(file: File) -> None:
    """Copies a file; BadData where it is not what it must be."""
    try:
        with _copying(file.path, file.local) as (part, sha256):
            if sha256 != file.sha256:
                raise BadData(f"{file.path}: sha256 differs from the manifest; run ingest.shard again")
            os.replace(part, file.local)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BadSettings(
                f"{room()}: no room for {file.path} ({error.strerror}); data.room= keeps less there, "
                f"{ROOM}=DIR names another disk"
            ) from None
        why = "no such file; run ingest.shard again" if isinstance(error, FileNotFoundError) else error
        raise BadData(f"{file.path}: {why}") from None


@contextmanager
def _copying(path: Path, local: Path) -> Iterator[tuple[Path, str]]:
    """A copy of a remote file beside its place here, under a name of its own, and its sha256."""
    local.parent.mkdir(parents=True, exist_ok=True)
    part = local.with_name(f"{local.name}.{os.getpid()}.{threading.get_ident()}{PART}")
    found = hashlib.sha256()
    try:
        with path.open("rb") as source, _in_use(part) as target:
            while block := source.read(BLOCK):
                found.update(block)
                target.write(block)
            target.flush()
            yield part, found.hexdigest()
    finally:
        part.unlink(missing_ok=True)


def _in_use(part: Path) -> BinaryIO:
    """A new file, locked while it is open: what is not is what a killed run left."""
    while True:
        file = open(part, "wb")  # noqa: SIM115 (whoever asked closes it)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_SH)
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # it was taken for a leftover between the two


def copied(path: Path) -> Path:
    """A file as one on this disk: itself, or a copy of a remote one, made anew when that has changed.

    OSError where it cannot be read.
    """
    if not is_address(path):
        return path
    remote = cast(Any, path)
    state = hashlib.sha256(str(remote.fs.checksum(remote.path)).encode()).hexdigest()[:16]
    local = mirror(path.parent) / f"{state}-{path.name}"
    if not local.exists():
        with _copying(path, local) as (part, _):
            os.replace(part, local)
    return local


@contextmanager
def desk(folder: Path, name: str) -> Iterator[Path]:
    """A folder in which files are written before they get their names: in theirs, or here for an address.

    Each writer has its own, so that one that was thought dead and is not meets nobody's half-written file.
    """
    below = None if is_address(folder) else folder
    with tempfile.TemporaryDirectory(prefix=f"{name}.", suffix=PART, dir=below) as found:
        yield Path(found)


def sweep(folder: Path, name: str) -> None:
    """Removes what writers of `name` that died have left half written; one that lives fails."""
    for part in folder.glob(f"{name}.*{PART}"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Makes a local file's content, or the names in a folder, survive a crash of the machine."""
    if is_address(path):
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def publish(part: Path, target: Path) -> None:
    """Moves a written file to its name, durably: by a rename, or whole to an address."""
    if not is_address(target):
        sync(part)
        os.replace(part, target)
        return
    with open(part, "rb") as source, target.open("wb") as there:
        shutil.copyfileobj(source, there, BLOCK)
    part.unlink()
