"""Records what a teacher answers to every sample, in views 0 to K-1, into a cache that students read.

    accelerate launch distill/record.py checkpoint=runs/first/best data.root=data/own out=caches/own
    accelerate launch distill/record.py checkpoint=runs/first/best data.root=data/own out=caches/v8 views=8
    accelerate launch distill/record.py checkpoint=runs/first/best data.root=data/own out=caches/d taps=[rnn2]

The same command again goes on where it stopped. On two CPU processes see train/runtime.py.
`accelerate launch` turns every exit code but 0 into 1; `python distill/record.py ...`, one process, returns
the code itself.
"""

import sys
import time
from typing import Any

from distill import layout, lost, recording
from distill.cache import Cache
from distill.writer import Writer
from shards import config
from shards.errors import Preempted, Stop
from shards.progress import Reporter, run
from train import runtime


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(recording.Settings, "record", argv)
    accelerator = runtime.open_accelerator("no", 1, settings.processes)
    report = Reporter("distill.record", settings.json, silent=not accelerator.is_main_process)
    found, writer = _begin(settings, argv, accelerator)
    card, per_sample = found.card, layout.bytes_per_view(found.card)
    samples = found.samples
    size = per_sample * samples
    data = "+".join(loader.shards.digest[:12] for loader in found.loaders)
    report.header(
        teacher=card.teacher.weights[:12], data=data, card=card.digest[:12],
        device=str(accelerator.device), processes=accelerator.num_processes, folder=settings.out,
    )  # fmt: skip
    kinds = {name: sum(array.bytes for array in kind.arrays) for name, kind in layout.kinds_of(card).items()}
    report.say(
        f"{samples} answers in up to {card.views} views, T = {card.frames}, C = {card.classes}, "
        f"{' + '.join(f'{name} {count}' for name, count in kinds.items())} (codec={card.codec.name}): "
        f"{per_sample} bytes per sample and view, {size / 1e6:.1f} MB in all"
    )
    facts = {"bytes_per_view": per_sample, "bytes": size, "bytes_of": kinds, "views": card.views}
    facts["answers"] = samples
    if settings.dry_run:
        report.say(f"card: {config.plain(card)}")
        report.done("", card=config.plain(card), **facts)
        return
    begun = time.monotonic()
    try:
        done = sum(runtime.gather(accelerator, _write(writer, accelerator, report)))
        runtime.close(accelerator)  # not where a rank is preempted: the others are still writing
        if accelerator.is_main_process:
            speed = done / (time.monotonic() - begun)
            _tell(settings, report, {**facts, "recorded": done, "images_per_s": speed})
    finally:
        writer.close()


def _tell(settings: recording.Settings, report: Reporter, facts: dict[str, Any]) -> None:
    """Opens what was recorded, and says what it is worth."""
    whole = Cache(settings.out)
    for uid, damage in sorted(whole.damaged.items()):
        report.say(f"sample {uid} has no answer: {damage}")
    told = lost.figures(whole.lost)
    report.say(
        f"whole: the codec loses {told['kl']:.5f} nats per step, {told['kl_spoken']:.5f} where it is no "
        f"blank, at most {told['p99']:.4f} in 99 of 100 steps; {told['changed']} readings changed; "
        f"{facts['images_per_s']:.0f} images/s"
    )
    roots = ",".join(settings.data.root)
    report.done(
        f"accelerate launch distill/student.py cache={settings.out} data.root={roots} run.name=student",
        **facts, **told, damaged=len(whole.damaged),
    )  # fmt: skip


def _begin(settings: recording.Settings, argv: list[str], accelerator) -> tuple[recording.Recording, Writer]:
    """The recording, and its folder taken; the other processes measure nothing: they read it there."""
    writers: list[Writer] = []

    def first() -> None:
        writers.append(Writer(recording.prepare(settings, argv, accelerator.device)))
        if not settings.dry_run:
            try:
                writers[0].open()
            except Stop:
                writers[0].close()
                raise

    runtime.on_main(accelerator, first)
    writer = writers[0] if writers else Writer(recording.prepare(settings, argv, accelerator.device))
    return writer.recording, writer


def _write(writer: Writer, accelerator, report: Reporter) -> int:
    """Writes this rank's jobs; returns how many samples that were."""
    begun, samples, stop = time.monotonic(), 0, runtime.StopRequest()
    todo = writer.todo(accelerator.process_index, accelerator.num_processes)
    report.say(f"{len(todo)} of {len(layout.jobs(writer.card))} shards and views are to do on this process")
    try:
        for place, job in enumerate(todo, 1):
            for count in writer.write(job):
                samples += count
                speed = samples / (time.monotonic() - begun)
                report.line(f"view {job.view} shard {job.shard} ({place}/{len(todo)}) {speed:.0f} images/s")
                if stop.asked():
                    raise Preempted(f"stopped by {stop.reason}; the same command goes on from there")
    finally:
        stop.close()
    return samples


if __name__ == "__main__":
    sys.exit(run(main, __doc__, recording.Settings))
