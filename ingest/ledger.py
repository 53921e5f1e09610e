"""What became of a split's rows while its shards are written: counts, the limit on rejects, the live line.

It stays small however many rows there are: each reject is kept by the sidecar of its shard alone.
"""

import time
from collections import Counter
from pathlib import Path

from ingest import exclusions
from shards import manifest
from shards.errors import BadData
from shards.manifest import LEDGER, ShardInfo


class Ledger:
    """The finished shards of a split of so many rows. share: of the rows may be rejected, the excluded not
    counted.
    """

    def __init__(self, folder: Path, rows: int, share: float) -> None:
        self.folder, self.rows, self.share = folder, rows, share
        self.known: dict[str, ShardInfo] = {}
        self.rejected: Counter[str] = Counter()
        self._done = self._written = 0
        self.start()

    @property
    def shards(self) -> list[ShardInfo]:
        """Those that are finished, in the order of the listing."""
        return sorted(self.known.values(), key=lambda info: info.first)

    def add(self, info: ShardInfo) -> None:
        """Counts a finished shard."""
        self.known[info.stem] = info.slim
        self.rejected.update(reject.reason for reject in info.rejects)
        self._done += info.rows
        self._written += info.written

    def start(self) -> None:
        """What is added from here on is the work of this run, whose pace `told` tells."""
        self._begun = time.monotonic(), self._done, self._written

    def judge(self) -> None:
        """BadData when too many rows are rejected; all are named in the ledger."""
        counted = self._counted()
        if counted.total() <= self.share * self.rows:
            return
        rejects = manifest.listed(self.folder, self.shards)
        manifest.write_ledger(self.folder, (r for r in rejects if r.reason != exclusions.REASON))
        raise BadData(
            f"{counted.total()} of {self.rows} rows rejected ({_named(counted)}), more than max_reject_frac="
            f"{self.share}; each is named in {self.folder / LEDGER}"
        )

    def _counted(self) -> Counter[str]:
        return Counter({reason: n for reason, n in self.rejected.items() if reason != exclusions.REASON})

    def told(self) -> str:
        """Rows, shards, samples a second and time left at the pace of this run, rejects by reason."""
        begun, done, written = self._begun
        seconds = max(time.monotonic() - begun, 1e-9)
        left = int((self.rows - self._done) * seconds / max(self._done - done, 1))
        return (
            f"{self._done} of {self.rows} rows, {len(self.known)} shards, "
            f"{(self._written - written) / seconds:.0f} samples/s, rejected: {_named(self.rejected) or 0}, "
            f"ETA {left // 60}:{left % 60:02d}"
        )


def _named(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in counts.most_common())
