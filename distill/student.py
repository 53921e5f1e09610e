"""Trains a student: from a cache of a teacher's answers, or with the teacher at its side.

    accelerate launch distill/student.py cache=caches/own data.root=data/own run.name=small
    accelerate launch distill/student.py cache=caches/own data.root=data/own run.name=mix \
        method=[logits,hard] method.logits.weight=.5 method.hard.weight=.2 model=crnn_small fit.epochs=20
    accelerate launch distill/student.py cache=caches/own data.root=data/own run.name=mix-control method=none

teacher=runs/first/best instead of cache= asks the teacher live: about a new view in every epoch, about the
views of a cache only with data.views=K given. method=none is the control: the same views, order, seed and
steps, without a teacher. The same command again goes on where the run stopped.
"""

import sys

from distill import examples, studying
from distill.studying import Settings
from shards import config
from shards.progress import run
from train import training, workbench


def main(argv: list[str]) -> None:
    """Entry."""
    settings = studying.settle(config.read(Settings, "student", argv), argv)
    bench = workbench.bench(settings, "distill.student")
    studying.explain(settings, bench)
    teacher = studying.make_teacher(settings, bench)
    objective = studying.make_objective(settings, bench, teacher)
    told = studying.story(settings, teacher)
    result = training.run(bench, objective, teacher, told, studying.identity(told), objective.formula)
    if settings.method and not settings.dry_run and bench.accelerator.is_main_process:
        bench.report.say(examples.write(bench, studying.control(settings), teacher))
    verdict, command = studying.next_command(settings, argv)
    if verdict:
        bench.report.say(verdict)
    bench.report.done(command, **result)


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
