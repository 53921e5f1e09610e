"""Writing a cache: one process' share of the shards and views, chunk by chunk.

Batches never cross a chunk and always have the same number of rows, each chunk has one writer, and no
clock, host or process count stands in a file: one and two processes write the same bytes. What is done is
not done again.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from distill import canvases, chunks, fingerprint, layout
from distill.codecs import Array
from distill.kinds import Kind
from distill.layout import Job, Mark
from distill.lost import Lost, add
from distill.recording import Recording
from shards import lock, manifest
from shards.errors import BadData, BadSettings, GateFailed
from shards.loader import AHEAD, Batch, ahead
from shards.pack import sha256_of
from shards.plan import Part, part_of
from shards.written import write_bytes, write_json


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Tells of a full disk or the like as what it is; nothing half-written counts."""
    try:
        yield
    except OSError as error:
        raise BadData(
            f"{root}: cannot be written: {error.strerror or error}; what is done stays, and the same command "
            "goes on once it can"
        ) from None


@dataclass(slots=True)
class Block:
    """A chunk while it is filled: its arrays, samples in it, what the codec lost, uid -> what is wrong of
    samples that nobody can read.
    """

    arrays: dict[str, np.ndarray]
    rows: int = 0
    lost: dict[str, Lost] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)


class Writer:
    """Writes the cache of a recording."""

    def __init__(self, recording: Recording) -> None:
        self.recording, self.card = recording, recording.card
        self.root = Path(recording.settings.out)
        self.kinds: list[Kind] = list(layout.kinds_of(self.card, recording.bases).values())
        self.arrays: list[Array] = [array for kind in self.kinds for array in kind.arrays]
        self.digest = self.card.digest
        self._lock = -1

    def open(self) -> None:
        """Takes the folder: lock, card, zarr documents. One process calls it, before any other writes.

        A standing cache goes on if its card is the same; another card, or other files, are refused.
        """
        with _writing(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
        beside = (canvases.NAME, layout.BASES)  # a recording that was stopped at once leaves no more
        mine = {lock.FILE, *beside, *(f"{name}.part" for name in (*beside, fingerprint.NAME))}
        strange = [p.name for p in self.root.iterdir() if p.name not in mine]
        if strange:
            self._same_card()
        self._lock = lock.take_in(self.root, f"{self.root} is being written by another process")
        self._prepare(fresh=not strange)

    def _prepare(self, fresh: bool) -> None:
        with _writing(self.root):
            for name, content in self.recording.beside.items():
                write_bytes(self.root / name, content)
            if fresh:
                fingerprint.save(self.root / fingerprint.NAME, self.card)
            for name, content in layout.documents(self.card).items():
                path = self.root / name
                if not chunks.same_document(path, content):
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

    def todo(self, rank: int, world: int) -> list[Job]:
        """A rank's jobs without a done mark, or whose chunks are not those of the mark."""
        return [job for job in layout.jobs(self.card)[rank::world] if not self._finished(job)]

    def _finished(self, job: Job) -> bool:
        """Whether the job is whole; what could not be read once is tried again."""
        try:
            mark = layout.read_mark(self.root, self.card, self.digest, job)
            whole = all(sha256_of(self.root / name) == known for name, known in mark.sha256.items())
            return whole and not mark.damaged
        except (BadData, OSError):
            return False

    def write(self, job: Job) -> Iterator[int]:
        """Writes a job and, last, its done mark; yields how many samples each batch held."""
        (self.root / job.mark).unlink(missing_ok=True)
        mark = Mark(0, {}, {}, {})
        for chunk in layout.chunks_of(self.card.data[job.key], job.shard):
            rows = self.card.data[job.key].chunk_rows
            block = Block({array.name: chunks.empty(array, rows) for array in self.arrays})
            for batch in ahead(self._batches(job, chunk), AHEAD):
                yield self._fill(block, batch, rows)
            self._within_limit(job, chunk, block.lost)
            with _writing(self.root):
                for array in self.arrays:
                    name = layout.file_of(job, array, chunk)
                    chunks.write(self.root / name, block.arrays[array.name])
                    mark.sha256[name] = sha256_of(self.root / name)
            mark.chunks[str(chunk)] = block.lost
            mark = Mark(mark.rows + block.rows, mark.chunks, mark.damaged | block.damaged, mark.sha256)
        with _writing(self.root):
            (self.root / job.mark).parent.mkdir(parents=True, exist_ok=True)
            write_json(self.root / job.mark, mark.told(self.digest))

    def _batches(self, job: Job, chunk: int) -> Iterator[Batch]:
        loader = self.recording.loader(job.key)
        return (loader.batch(part, job.view) for part in self._parts(job, chunk))

    def _parts(self, job: Job, chunk: int) -> Iterator[Part]:
        """The samples of a chunk in batches of one size."""
        shards, data, start = self.recording.loader(job.key).shards, self.card.data[job.key], 0
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

    def _fill(self, block: Block, batch: Batch, chunk_rows: int) -> int:
        """Puts the teacher's answer to a batch into its chunk."""
        block.damaged |= {f"{int(batch.uids[row]):016x}": damage for row, damage in batch.damage.items()}
        lesson, valid = self.recording.teacher(batch), batch.valid.cpu()
        for name, values in {"answers": lesson.answers, **lesson.features}.items():
            if not torch.isfinite(values.cpu()[valid]).all():
                raise BadData(f"{self.recording.settings.checkpoint}: the teacher's {name} are not finite")
        rows = [manifest.split_uid(uid)[1] % chunk_rows for uid in batch.uids[valid].tolist()]
        for kind in self.kinds:
            encoded, lost = kind.encode(lesson, valid)
            if lost is not None:
                add(block.lost, {kind.name: lost})
            for name, values in encoded.items():
                block.arrays[name][rows] = values
        block.rows += len(rows)
        return len(rows)

    def _within_limit(self, job: Job, chunk: int, found: dict[str, Lost]) -> None:
        limit, codec = self.recording.settings.kl_limit, self.card.codec.name
        over = {kind: lost for kind, lost in found.items() if not lost.kl <= limit}
        if over:
            told = ", ".join(f"{lost.kl:.4f} nats per step of {kind}" for kind, lost in over.items())
            remedy = self.card.make_codec().remedy(list(over.values()), limit)
            raise GateFailed(
                f"{job.key} view {job.view} chunk {chunk}: {codec} loses {told}, kl_limit={limit}; {remedy}"
            )
