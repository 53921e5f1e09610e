"""What a student's epoch costs: from the cache, beside the live teacher, and without a teacher.

    python infra/bench/student.py
    python infra/bench/student.py method=logits steps=40 rounds=9
    python infra/bench/student.py teacher=models/crnn_small views=4

Same words, order, steps, views and student; the temporary cache is recorded here. The teacher is a crnn_tiny
of random weights with decided answers, or a model folder. Words are decoded once and kept (data.memory), so
what is compared is the training. A live teacher adds its forward pass T to the student's three (forward, and
twice that backward): of the operations alone an epoch is (T + 3 S) / (3 S) times as long.
"""

import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from epochs import Ours
from rounds import Found, at_least, machine, table, take_turns
from samples import quietly, rendered

from distill import record
from distill.cache import Cache
from distill.studying import Settings as Study
from distill.studying import make_objective, make_teacher, settle
from distill.teachers import Cached
from shards import config, lookup, progress
from shards.config import plain
from train import modelfolder, starting, workbench
from train.cost import cost

PLAIN, READS = "without a teacher (method=none)", "reads the cache, and uses nothing of it"


@dataclass
class Settings:
    """What is measured, and how often."""

    model: str = "crnn_nano"  # the student, a preset
    teacher: str = ""  # a model folder; empty: a crnn_tiny of random weights
    method: list[str] = field(default_factory=lambda: ["hard", "logits"])  # of distill.methods
    views: int = 1  # of each word in the cache; those after the first are augmented (light)
    batch: int = 64  # words a step
    steps: int = 40  # of an epoch, which is a pass
    rounds: int = 7  # turns of every contender
    threads: int = 0  # of torch, 0 = as it chooses (OMP_NUM_THREADS)

    def __post_init__(self) -> None:
        at_least(self, views=1, batch=1, steps=1, rounds=1, threads=0)
        for name in self.method:
            lookup.find("distill.methods", name)


def random_teacher(folder: Path) -> str:
    """A model folder of untrained weights; the last layer is scaled up, as if it had learnt to be sure."""
    argv = ["model=crnn_tiny", "run.name=teacher"]
    settings = config.read(workbench.Settings, "teacher", argv)
    torch.manual_seed(0)
    task, model, _ = starting.build(settings)
    with torch.no_grad():
        model.dense.weight.mul_(20)  # type: ignore[operator]
    augment = {"augment": plain(settings.augment)}
    modelfolder.save(folder, model, task, model_name="crnn", task_name="recognise", extra=augment)
    return str(folder)


def studying(settings: Settings, place: Path, *more: str, teach: Cached | None = None) -> Ours:
    """A student's training as distill/student.py opens it; teach: another teacher than the settings'."""
    argv = [
        f"run.root={tempfile.mkdtemp(dir=place)}", "run.name=bench", f"data.root={place / 'data'}",
        f"model={settings.model}", f"fit.batch={settings.batch}", f"fit.epochs={settings.rounds + 1}",
        "data.threads=1", f"data.views={settings.views}", *more,
    ]  # fmt: skip
    with quietly():
        study = settle(config.read(Study, "student", argv), argv)
        bench = workbench.bench(study, "bench")
        teacher = make_teacher(study, bench)
        objective = make_objective(study, bench, teacher)
        return Ours(bench, objective, teach or teacher)


def students(settings: Settings, place: Path, teacher: str) -> dict[str, Ours]:
    """The contenders: nobody, the cache and the live teacher, with each method."""
    cache = f"cache={place / 'cache'}"
    light = ["augment=light"] if settings.views > 1 else []
    with quietly():
        told = [f"data.root={place / 'data'}", f"out={place / 'cache'}", f"views={settings.views}"]
        record.main([f"checkpoint={teacher}", *told, *light])
    reader = Cached(Cache(place / "cache"))
    found = {
        PLAIN: studying(settings, place, "method=none", cache),
        READS: studying(settings, place, "method=none", cache, teach=reader),
    }
    for method in settings.method:
        found[f"{method}, from the cache"] = studying(settings, place, f"method={method}", cache)
        live = [f"method={method}", f"teacher={teacher}", *light]
        found[f"{method}, live teacher"] = studying(settings, place, *live)
    return found


def main(argv: list[str]) -> None:
    """One table."""
    settings = config.read(Settings, "bench", argv)
    torch.set_num_threads(settings.threads or torch.get_num_threads())
    print(f"### Student\n\n{machine(torch.get_num_threads())}; batch {settings.batch}\n")
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        for split, count in (("train", settings.batch * settings.steps), ("val", 32)):
            rendered(place / "data", count, split)
        teacher = settings.teacher or random_teacher(place / "teacher")
        contenders = students(settings, place, teacher)
        bench = contenders[PLAIN].bench
        student = cost(bench.model, bench.task.image)["flops"]
        found = take_turns({name: one.epoch for name, one in contenders.items()}, settings.rounds)
        tell(found, operations(teacher), student, settings)


def operations(folder: str) -> float:
    """Of the model in a folder, for one image."""
    loaded = modelfolder.load(folder)
    return cost(loaded.model, loaded.task.image)["flops"]


def tell(found: Found, teacher: float, student: float, settings: Settings) -> None:
    """Prints the table."""
    factor = (teacher + 3 * student) / (3 * student)
    rows = []
    for name in found.passes:
        cached = name.replace("live teacher", "from the cache")
        expected = f"{factor:.2f}" if "live" in name else ""
        rows.append((name, found.speed(name), found.ratio(PLAIN, name), found.ratio(cached, name), expected))
    columns = ("", "images/s", "x the time without a teacher (cache: aim 1.05)",
               "x the time from the cache", "by the operations (aim: within 20 %)")  # fmt: skip
    costs = f"{student / 1e6:.1f} million operations an image, its teacher {teacher / 1e6:.1f}"
    table(f"{settings.model}, {costs}; views={settings.views}", columns, rows)


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
