"""Whether a cache is what its done marks say: every file hashed again."""

import hashlib
from pathlib import Path
from typing import Any

from distill import canvases
from distill.fingerprint import Card
from distill.layout import bases_of, bytes_per_view, jobs, read_mark
from distill.lost import add, figures
from shards.errors import BadData
from shards.pack import sha256_of


def faults(root: Path, card: Card) -> tuple[list[str], dict[str, Any]]:
    """Every fault of a cache, one sentence each, and what it holds: rows of a view, views, bytes, what was
    lost.
    """
    found, rows, lost, digest = [], 0, {}, card.digest
    for job in jobs(card):
        try:
            mark = read_mark(root, card, digest, job)
        except BadData as error:
            found.append(str(error))
            continue
        rows += mark.rows if job.view == 0 else 0
        add(lost, mark.lost)
        for name, expected in mark.sha256.items():
            path = root / name
            if not path.exists():
                found.append(f"{path}: chunk is missing")
            elif sha256_of(path) != expected:
                found.append(f"{path}: sha256 differs from its done mark")
    found += _beside(root, card)
    facts = {"rows": rows, "views": card.views, "bytes_per_view": bytes_per_view(card)}
    return found, {**facts, **figures(lost), "digest": digest}


def _beside(root: Path, card: Card) -> list[str]:
    """Faults of the files that stand beside the arrays."""
    path, found = root / canvases.NAME, []
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != card.pictures:
        found.append(f"{path}: missing, or not the pictures of the card")
    try:
        bases_of(root, card)
    except BadData as error:
        found.append(str(error))
    return found
