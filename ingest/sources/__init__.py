"""Seam: one file per data source. A member offers three lines about itself, `GIVES` (what its samples are),
`EXPECTS` (what stands in root) and `LICENCE`, `Settings` (a dataclass whose keys stand flat beside
`ingest.shard`'s own) and `Source(settings, root, split)`; one that takes all from another member is a second
name of the same data set:

- `len(source)`: rows of the listing, rejects included; a row is a position in it, for ever;
- `source.read(row)` -> Sample, or raises Reject: pure in (settings, root, split, row), in any order;
- `source.per_split`, `source.group(row)`, where it may have no splits of its own: see `ingest.shares`;
- `source.options`: what changes the listing or the bytes, never paths or workers: part of the set's identity;
- `source.official`, where it is known: rows of the published split; `complete=true` takes no other number;
- `source.notes`, where there is something: sentences about the listing, said before anything is written.
The constructor raises BadData with file and line for a missing or unreadable listing.
"""

import errno
from types import ModuleType

SCARCE = (
    errno.ENOMEM,
    errno.EMFILE,
    errno.ENFILE,
)  # of an OSError: the machine's lack, and no Reject of a row


class Reject(Exception):
    """A row that cannot become a sample: a short fixed reason, where (origin), what exactly (detail)."""

    def __init__(self, reason: str, origin: str, detail: str = "") -> None:
        super().__init__(f"{origin}: {reason} {detail}".rstrip())
        self.reason, self.origin, self.detail = reason, origin, detail


def about(source: ModuleType) -> dict[str, str]:
    """What `source=?` adds to a member's opening sentence."""
    return {"gives": source.GIVES, "expects": source.EXPECTS, "licence": source.LICENCE}
