"""Writing a cache: one process' share of the shards and views, chunk by chunk.

Batches never cross a chunk and always have the same number of rows, each chunk has one writer, and no
clock, host or process count stands in a file: one and two processes write the same bytes. What is done is
not done again.
"""

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from distill import cache, chunks, codec, fingerprint
from distill.cache import Job
from distill.recording import Recording, part_of
from shards import manifest
from shards.errors import BadData, BadSettings, GateFailed
from shards.loader import AHEAD, Batch, ahead
from shards.manifest import write_bytes, write_json
from shards.pack import sha256_of
from shards.plan import Part

LOCK = ".lock"
HALF = float(np.finfo(np.float16).max)


@dataclass(slots=True)
class Tally:
    """What was written so far: samples, the nats per step that the codec lost on them, and uid -> what is
    wrong of samples that nobody can read.
    """

    samples: int = 0
    lost: float = 0.0
    damaged: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Tally") -> None:
        """Counts what another one counted."""
        self.samples, self.lost = self.samples + other.samples, self.lost + other.lost
        self.damaged |= other.damaged


class Writer:
    """Writes the cache of a recording."""

    def __init__(self, recording: Recording) -> None:
        self.recording, self.card = recording, recording.card
        self.root = Path(recording.settings.out)
        self.arrays, self.codec = cache.arrays_of(self.card), self.card.make_codec()
        self.digest = self.card.digest
        self._lock = -1

    def open(self) -> None:
        """Takes the folder: lock, card, zarr documents. One process calls it, before any other writes.

        A standing cache goes on if its card is the same; another card, or other files, are refused.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        strange = [p.name for p in self.root.iterdir() if p.name not in (LOCK, f"{fingerprint.NAME}.part")]
        if strange:
            self._same_card()
        self._take()
        if not strange:
            fingerprint.save(self.root / fingerprint.NAME, self.card)
        for name, content in cache.documents(self.card).items():
            path = self.root / name
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_bytes(path, content)

    def close(self) -> None:
        """Gives the lock back."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _same_card(self) -> None:
        if not (self.root / fingerprint.NAME).exists():
            raise BadSettings(
                f"{self.root}: holds something else (no {fingerprint.NAME}); choose another out="
            )
        standing = fingerprint.load(self.root / fingerprint.NAME)
        fingerprint.check(self.root, standing, fingerprint.compared(self.card))

    def _take(self) -> None:
        self._lock = os.open(self.root / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BadSettings(f"{self.root} is being written by another process") from None

    def todo(self, rank: int, world: int) -> list[Job]:
        """A rank's jobs without a done mark, or whose chunks are not those of the mark."""
        return [job for job in cache.jobs(self.card)[rank::world] if not self._finished(job)]

    def _finished(self, job: Job) -> bool:
        """Whether the job is whole; what could not be read once is tried again."""
        try:
            mark = cache.read_mark(self.root, self.card, self.digest, job)
            whole = all(sha256_of(self.root / name) == known for name, known in mark["sha256"].items())
            return whole and not mark["damaged"]
        except (BadData, OSError):
            return False

    def write(self, job: Job) -> Iterator[int]:
        """Writes a job and, last, its done mark; yields how many samples each batch held."""
        (self.root / job.mark).unlink(missing_ok=True)
        total, sums = Tally(), {}
        for chunk in cache.chunks_of(self.card.data[job.key], job.shard):
            rows = self.card.data[job.key].chunk_rows
            blocks = {array.name: chunks.empty(array, rows) for array in self.arrays}
            tally = Tally()
            for batch in ahead(self._batches(job, chunk), AHEAD):
                yield self._fill(blocks, batch, rows, tally)
            self._within_limit(job, chunk, tally)
            for array in self.arrays:
                name = cache.file_of(job, array, chunk)
                chunks.write(self.root / name, blocks[array.name])
                sums[name] = sha256_of(self.root / name)
            total.add(tally)
        kl = total.lost / max(total.samples, 1)
        mark = {
            "format": cache.MARK, "card": self.digest, "rows": total.samples, "kl": kl,
            "damaged": total.damaged, "sha256": sums,
        }  # fmt: skip
        (self.root / job.mark).parent.mkdir(parents=True, exist_ok=True)
        write_json(self.root / job.mark, mark)

    def _batches(self, job: Job, chunk: int) -> Iterator[Batch]:
        return (self.recording.loader.batch(part, job.view) for part in self._parts(job, chunk))

    def _parts(self, job: Job, chunk: int) -> Iterator[Part]:
        """The samples of a chunk in batches of one size."""
        shards, data, start = self.recording.loader.shards, self.card.data[job.key], 0
        for content in shards.manifests:
            if content.dataset_id == data.id:
                break
            start += content.written
        rows = (chunk * data.chunk_rows, (chunk + 1) * data.chunk_rows)
        ends = np.array([manifest.uid_of(data.id, row) for row in rows], np.uint64)
        low, high = start + np.searchsorted(shards.uids[start : start + content.written], ends)
        size = self.card.batch
        for at in range(low, high, size):
            yield part_of(np.arange(at, min(at + size, high)), size)

    def _fill(self, blocks: dict[str, np.ndarray], batch: Batch, chunk_rows: int, tally: Tally) -> int:
        """Puts the teacher's answer to a batch into the blocks of its chunk."""
        tally.damaged |= {f"{int(batch.uids[row]):016x}": damage for row, damage in batch.damage.items()}
        lesson, valid = self.recording.teacher(batch), batch.valid.cpu()
        log_probs = lesson.log_probs.cpu()[valid]
        if not torch.isfinite(log_probs).all():
            raise BadData(f"{self.recording.teacher.folder}: the teacher's answers are not finite")
        encoded = self.codec.encode(log_probs)
        lost = codec.kl(log_probs, self.codec.decode(encoded))
        for name, values in lesson.features.items():
            encoded[cache.TAP + name] = values.cpu()[valid].clamp(-HALF, HALF).numpy().astype(np.float16)
        rows = [manifest.split_uid(uid)[1] % chunk_rows for uid in batch.uids[valid].tolist()]
        for name, values in encoded.items():
            blocks[name][rows] = values
        tally.add(Tally(len(rows), float(lost.sum())))
        return len(rows)

    def _within_limit(self, job: Job, chunk: int, tally: Tally) -> None:
        settings, lost = self.recording.settings, tally.lost / max(tally.samples, 1)
        if lost > settings.kl_limit:
            raise GateFailed(
                f"{job.key} view {job.view} chunk {chunk}: {settings.codec} loses {lost:.4f} nats per step, "
                f"kl_limit={settings.kl_limit}; raise k (now {settings.k}) or take codec=dense"
            )
