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

from distill import layout, lost, recording
from distill.cache import Cache
from distill.writer import Writer
from shards import config
from shards.errors import Preempted
from shards.progress import Reporter, run
from train import runtime


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(recording.Settings, "record", argv)
    accelerator = runtime.open_accelerator("no", 1, settings.processes)
    report = Reporter("distill.record", settings.json, silent=not accelerator.is_main_process)
    found = recording.prepare(settings, argv, accelerator.device)
    card, per_sample = found.card, layout.bytes_per_view(found.card)
    samples = found.samples
    size = per_sample * samples
    data = "+".join(loader.shards.digest[:12] for loader in found.loaders)
    report.header(
        teacher=card.teacher.weights[:12], data=data, card=card.digest[:12],
        device=str(accelerator.device), processes=accelerator.num_processes, folder=settings.out,
    )  # fmt: skip
    report.say(
        f"{samples} answers in up to {card.views} views, T = {card.frames}, C = {card.classes}, "
        f"{'+'.join([*card.kinds, *card.taps])} ({card.codec.name}): "
        f"{per_sample} bytes per sample and view, {size / 1e6:.1f} MB in all"
    )
    facts = {"bytes_per_view": per_sample, "bytes": size, "views": card.views, "answers": samples}
    if settings.dry_run:
        report.say(f"card: {config.plain(card)}")
        report.done("", card=config.plain(card), **facts)
        return
    writer, begun = Writer(found), time.monotonic()
    runtime.on_main(accelerator, writer.open)
    done = sum(runtime.gather(accelerator, _write(writer, accelerator, report)))
    runtime.close(accelerator)  # not where a rank is preempted: the others are still writing
    if accelerator.is_main_process:
        whole = Cache(settings.out)
        writer.close()
        speed = done / (time.monotonic() - begun)
        for uid, damage in sorted(whole.damaged.items()):
            report.say(f"sample {uid} has no answer: {damage}")
        told = lost.figures(whole.lost)
        report.say(
            f"whole: the codec loses {told['kl']:.5f} nats per step, {told['kl_spoken']:.5f} where it is no "
            f"blank, at most {told['p99']:.4f} in 99 of 100 steps; {told['changed']} readings changed; "
            f"{speed:.0f} images/s"
        )
        roots = ",".join(settings.data.root)
        report.done(
            f"accelerate launch distill/student.py cache={settings.out} data.root={roots} run.name=student",
            **facts, **told, recorded=done, damaged=len(whole.damaged), images_per_s=speed,
        )  # fmt: skip


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
