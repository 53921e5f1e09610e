"""Writes examples.jsonl into a student's run folder: the words that its teacher changed (see train.changes).

Student and control read every validation word once. Only against a control that differs in nothing but
method and teacher can a word be said to be helped or hurt by the teacher: without one the file is not
written, and one that stands there, of other models, is removed.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from distill.lesson import Lesson
from shards.errors import BadData
from shards.loader import Batch
from shards.written import canonical, write_bytes
from train import changes, modelfolder, models, verdicts
from train.changes import BLANK, DOUBT, HELPED, HURT
from train.charset import Charset
from train.decode import greedy
from train.judging import judge, still_loader
from train.mistakes import png
from train.workbench import Bench

MOST = 50  # words of a kind
PLACES = 4  # decimals of a probability

Teach = Callable[[Batch], Lesson]
Read = dict[int, tuple[str, str, str, float]]  # uid -> truth, as it is compared, reading, confidence


def write(bench: Bench, control: Path, teach: Teach) -> str:
    """Writes the file, once student and control (a run folder) are trained; returns what there is to say.

    For one process: it reads all validation words, whatever the ranks are.
    """
    run = Path(bench.settings.run.root) / bench.settings.run.name
    path, best = run / changes.NAME, (run / "best", control / "best")
    if why := _incomparable(*best):
        path.unlink(missing_ok=True)
        return f"{path} is not written: {why}"
    student, other = (modelfolder.load(folder, bench.accelerator.device) for folder in best)
    if getattr(student.task, "charset", None) is None:
        return f"{path} is not written: this task does not answer in characters step by step"
    mine, theirs = (_readings(bench, loaded) for loaded in (student, other))
    helped, hurt = changed(mine, theirs)
    chosen = [(HELPED, len(helped), uid) for uid in helped[:MOST]]
    chosen += [(HURT, len(hurt), uid) for uid in hurt[:MOST]]
    lines, seen = [], _seen(bench, [uid for _, _, uid in chosen], student, teach)
    for (kind, of, uid), told in zip(chosen, seen, strict=True):
        truth, scored, text, confidence = mine[uid]
        told["student"] = {**_reading(text, confidence), **told["student"]}
        lines.append({
            "format": changes.FORMAT, "uid": f"{uid:016x}", "truth": truth, "scored": scored, "kind": kind,
            "of": of, "control": _reading(*theirs[uid][2:]), **told,
        })  # fmt: skip
    write_bytes(path, b"".join(canonical(line) + b"\n" for line in lines))
    return f"{path}: {len(helped)} validation words helped by the teacher, {len(hurt)} hurt"


def _incomparable(student: Path, control: Path) -> str:
    """Why the two say nothing about the teacher; empty if they do."""
    if not control.is_dir():
        return f"there is no control {control}; once it is trained, the same command again writes it"
    against = str(control)
    if found := verdicts.difference(str(student), against):
        return verdicts.words_of(str(student), {**found, "against": against})
    return ""


def _readings(bench: Bench, loaded: modelfolder.Loaded) -> Read:
    """What a model reads on every labelled validation word; damaged ones are left out."""
    val, damage = bench.val_loader, {}
    source = _loader(bench, loaded, bench.settings.fit.batch, val.positions)
    meter = judge(loaded.model, loaded.task, source, damage=damage)
    truths, texts = meter.pairs()
    rows = [row for row in meter.detail() if row[1] is not None]
    return {
        uid: (raw, truth, text, score)
        for (uid, raw, _, score), truth, text in zip(rows, truths, texts, strict=True)
        if uid not in damage
    }


def changed(mine: Read, theirs: Read) -> tuple[list[int], list[int]]:
    """Uids of words that only the first reads right, and that only the second does; those first where the
    right reading is surer than the wrong one by most.
    """

    def only(right: Read, wrong: Read) -> list[int]:
        found = {
            uid: score - wrong[uid][3]
            for uid, (_, truth, text, score) in right.items()
            if uid in wrong and text == truth != wrong[uid][2]
        }
        return sorted(found, key=lambda uid: (-found[uid], uid))

    return only(mine, theirs), only(theirs, mine)


def _seen(
    bench: Bench, uids: list[int], student: modelfolder.Loaded, teach: Teach
) -> Iterator[dict[str, Any]]:
    """The canvas of each word, and the opinions of student and, where it can answer, teacher.

    One word at a time: what a cache does not know is known of each.
    """
    shards, characters = bench.val_loader.shards, student.task.charset.characters
    met = np.flatnonzero(np.isin(shards.uids, np.array(uids, np.uint64)))
    place = {int(shards.uids[at]): int(at) for at in met}
    positions = np.array([place[uid] for uid in uids], np.int64)
    source = _loader(bench, student, 1, positions)
    with torch.no_grad():
        for at, batch in zip(positions.tolist(), source.batches(0), strict=True):
            answer = models.answer(student.model, batch).logits.float().log_softmax(-1)
            told: dict[str, Any] = {"student": {"steps": opinion(answer[0], characters)}}
            told["png"] = png(source.engine.read(np.array([at])).pixels[0])
            if (theirs := _asked(teach, batch, answer)) is not None:
                (found,) = greedy(theirs)
                text = student.task.charset.decode(found.symbols)
                steps = opinion(theirs[0], characters)
                told["teacher"] = {**_reading(text, found.confidence), "steps": steps}
            yield told


def _asked(teach: Teach, batch: Batch, answer: Tensor) -> Tensor | None:
    """The teacher's log-probabilities [1,T,C] about one word; None where it has none in these classes."""
    try:
        lesson = teach(batch)
    except BadData:  # not recorded
        return None
    known = lesson.trust is None or bool(lesson.trust[0])
    found = lesson.log_probs
    fits = found.ndim == 3 and found.shape[-1] == answer.shape[-1]
    return found if known and fits and bool(lesson.batch.valid[0]) else None


def opinion(log_probs: Tensor, characters: str) -> list[list[Any]]:
    """Log-probabilities [T,C] as what changes.Step is made of."""
    signs = {Charset.BLANK: BLANK} | dict(enumerate(characters, start=1))
    shares, classes = log_probs.float().exp().topk(2)
    out = []
    for (first, second), (best, next_) in zip(shares.tolist(), classes.tolist(), strict=True):
        doubt = [signs[next_], round(min(second, 1.0), PLACES)] if second > DOUBT else []
        out.append([signs[best], round(min(first, 1.0), PLACES), *doubt])
    return out


def _reading(text: str, confidence: float) -> dict[str, Any]:
    return {"text": text, "confidence": round(confidence, PLACES)}


def _loader(bench: Bench, loaded: modelfolder.Loaded, batch: int, positions: np.ndarray) -> Any:
    """All of these samples on one process, untouched, in this order."""
    data, device = bench.settings.data, bench.accelerator.device
    shards = bench.val_loader.shards
    return still_loader(shards, loaded.task, batch, positions, data.engine, data.threads, device)
