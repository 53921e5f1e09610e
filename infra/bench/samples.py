"""What the benchmarks read: words rendered here, and real crops where they are at hand.

The real ones are the training words of ICDAR 2015 and IIIT5K below OCR_REAL_DATA (default: shared/data beside
the checkout); without them their tables are left out, with a line that says so.
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from ingest import shard
from shards.errors import BadSettings
from shards.lookup import unknown
from shards.read import Shards

ROOT = Path(__file__).resolve().parent.parent.parent
REAL = Path(os.environ.get("OCR_REAL_DATA", ROOT.parent / "shared" / "data"))
LISTED = {  # name -> (folder below REAL, list of labels, folder of the list's images)
    "icdar2015": ("icdar2015_words/WordRecognition", "TrainingSet/gt.txt", "TrainingSet"),
    "iiit5k": ("iiit5k/IIIT5K", "train_gt.txt", "train"),
}


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """What stages say goes to standard error: standard output holds the tables."""
    with contextlib.redirect_stdout(sys.stderr):
        yield


def rendered(folder: Path, count: int, split: str = "train") -> str:
    """A data set folder with a split of rendered words."""
    with quietly():
        shard.main(["source=rendered", f"out={folder}", f"split={split}", f"count={count}"])
    return str(folder)


def listed() -> dict[str, list[str]]:
    """The real sets that are at hand: name -> what ingest.shard is told of them."""
    found = {}
    for name, (root, labels, images) in LISTED.items():
        if (REAL / root / labels).is_file():
            where = [f"root={REAL / root}", f"labels={labels}", f"images={images}"]
            found[name] = ["source=folder", "format=icdar", f"name={name}", *where]
        else:
            print(f"{name}: not measured, not below OCR_REAL_DATA={REAL}\n")
    return found


def real(folder: Path) -> list[str]:
    """Data set folders with split train, one for each real set."""
    roots = []
    for name, told in listed().items():
        with quietly():
            shard.main([*told, f"out={folder / name}"])
        roots.append(str(folder / name))
    return roots


def sets(names: list[str], count: int, folder: Path) -> Iterator[tuple[str, Shards]]:
    """(title, samples) of what is measured: rendered, real, or a folder of shards."""
    for name in names:
        if name not in ("rendered", "real") and not Path(name).is_dir():
            raise BadSettings(unknown("data", name, ["rendered", "real", "a folder of ingest.shard"]))
    for name in names:
        if name == "rendered":
            yield f"{count:,} rendered words, JPEG", Shards([rendered(folder / name, count)], "train")
        elif name != "real":
            samples = Shards([name], "train")
            yield f"{len(samples):,} samples of {name}", samples
        elif roots := real(folder / name):
            samples = Shards(roots, "train")
            yield f"{len(samples):,} real words, PNG ({', '.join(LISTED)})", samples
