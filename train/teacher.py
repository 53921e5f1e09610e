"""Trains a teacher: any model of train/models on any task, from shards.

    accelerate launch train/teacher.py run.name=first data.root=data/own
    accelerate launch train/teacher.py run.name=mj model=crnn_large data.root=data/mj augment=strong
    python train/teacher.py run.name=own init_from=models/crnn_small data.root=data/own time_limit=45m

The same command again goes on where the run stopped. On two CPU processes see train/runtime.py.
"""

import sys

from shards import config
from shards.errors import BadSettings
from shards.progress import run
from train import losses, overfit, training, workbench
from train.steps import TaskStep
from train.workbench import Settings


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "teacher", argv)
    if settings.data.unlabelled:
        raise BadSettings("data.unlabelled: a teacher learns from labels; distill/student.py learns without")
    if settings.overfit:
        settings = overfit.adapted(settings)
    bench = workbench.bench(settings, "train.teacher")
    step = TaskStep(bench.model, bench.task, losses.make(settings.loss, bench.model, bench.task))
    story = {"loss": config.plain(settings.loss)} if settings.loss else {}
    result = training.run(bench, step, lambda batch: batch, story, loss=step.formula)
    if settings.overfit and not settings.dry_run:
        bench.report.say(overfit.conclude(settings, result))
    bench.report.done(training.next_command(settings), **result)


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
