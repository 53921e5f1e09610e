"""Evaluates checkpoints on a split: figures with 95 % intervals, and a verdict against a baseline.

    python -m train.evaluation checkpoint=runs/first/best data.root=data/own
    python -m train.evaluation checkpoint=runs/a/best,runs/b/best data.root=data/own baseline=runs/a/best
    python -m train.evaluation checkpoint=models/a,models/b.int8.onnx data.root=data/own plot=models.png
    python -m train.evaluation checkpoint=runs/first/best data.root=data/own decoder=beam decoder.width=20
    python -m train.evaluation checkpoint=models/yolo data.root=data/scenes tta=true
    python -m train.evaluation checkpoint=runs/small/best teacher=runs/first/best data.root=data/own
    python -m train.evaluation checkpoint=runs/small/best data.root=data/own by=length card=true

Each sample is read once; a damaged one counts as missed. A student is judged against its control if that
stands beside it and differs in nothing but method and teacher.
"""

import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shards import config, loader
from shards.errors import BadData, BadSettings
from shards.progress import Reporter, run
from shards.read import Shards
from shards.written import read_json, write_json
from train import (
    benches,
    decoders,
    fidelity,
    judging,
    keeping,
    modelfolder,
    protocols,
    scales,
    scoreboard,
    spotting,
    suspects,
)
from train.groups import check
from train.judging import judge, still_loader
from train.latency import latency
from train.reader import Reader
from train.straightened import beside
from train.verdicts import Judged, control_of, short, verdicts, words_of


@dataclass
class Data(loader.Where):
    """What is evaluated on."""

    split: str = "test"  # the split to score


@dataclass
class Settings:
    """An evaluation."""

    checkpoint: list[str] = field(default_factory=list)  # model folders
    data: Data = field(default_factory=Data)
    baseline: str = ""  # model folder that the others are judged against; empty = each one's own control
    teacher: str = ""  # model folder; also tells how close the others come to it, step by step
    decoder: config.Choice | None = field(
        default=None, metadata={"seam": "train.decoders", "bare": "name"}
    )  # how the answers of all are read; none = as each model folder says
    bench: str = ""  # std6: the six usual sets below data.root, by protocol 36, their counts checked
    protocol: str = "native"  # native (the charset of the model), 36, 62, 94; of scenes icdar2015, ocrdistill
    by: list[str] = field(
        default_factory=list
    )  # groups of words: source, length, repeats, group, language, script, writer, font, kind
    batch: int = 256  # images at a time
    device: str = "cpu"  # cpu, or cuda:0
    recogniser: str = ""  # a model folder that reads what detectors found: figures of both together
    tta: bool = False  # detectors look at each picture at several scales
    latency: bool = False  # also measure ms per image: one image at a time, one thread, decoding included
    plot: str = ""  # a .png of accuracy over size and latency, which is measured then
    seed: int = 0  # of the bootstrap
    out: str = ""  # a JSON file for the result; runs also keep one in eval/
    suspects: str = ""  # a CSV file of labels that the first model reads otherwise, the surest first
    words: str = ""  # a JSON file that says of each word, by uid, whether each model read it right
    card: bool = (
        False  # write figures, verdict and failures into the models' folders, so that their cards tell
    )
    json: bool = False  # print the result as JSON on the last line


def evaluate(path: str, shards: Shards, settings: Settings) -> Judged:
    """Runs one checkpoint over all samples."""
    loaded = modelfolder.load(path, settings.device, settings.decoder)
    loaded.task.meter().score_by(settings.protocol)  # refused before anything is read
    loaded.task.check(shards)
    looked = scales.several(loaded) if settings.tta else loaded
    data, damage = settings.data, {}
    source = still_loader(
        shards, loaded.task, settings.batch, None, data.engine, data.threads, settings.device
    )
    meter = judge(looked.model, looked.task, source, damage=damage)
    meter.score_by(settings.protocol)
    try:
        score = loaded.task.score(meter, damage, settings.seed)
    except BadData as error:
        raise BadData(f"{', '.join(map(str, shards.folders))}: {error}") from None
    figures = {
        "params": loaded.parameters,
        "mb": loaded.bytes / 1e6,
        **score.figures,
        "decoder": config.plain(settings.decoder or decoders.stored(loaded.config.get("decoder"))),
        **({"scales": list(scales.SCALES)} if settings.tta else {}),
        "damaged": len(damage),
        "headings": [config.plain(heading) for heading in loaded.task.headings],
    }
    reader = Reader(looked, settings.device)
    if settings.latency:
        figures["ms_per_image"] = latency(lambda image: reader.answers([image]), shards, damage)
    if settings.recogniser:
        second = spotting.reader(reader, settings.recogniser, settings.device)
        meter = spotting.read(meter, second, shards)
        figures |= spotting.figures(meter, reader, second, shards, damage, settings.latency)
    found = loaded.task.mistakes(meter, damage, shards)
    found["examples"] = beside(found["examples"], loaded.model, loaded.task.image)
    figures["by_source"] = found["by_source"]
    several = ["source"] if len(found["by_source"]) > 1 else []
    figures["by"] = {way: score.by(way, shards) for way in dict.fromkeys([*several, *settings.by])}
    if settings.teacher and Path(settings.teacher).resolve() != Path(path).resolve():
        figures["fidelity"] = _fidelity(loaded, shards, settings)
    return Judged(path, loaded.config, score, figures, found, damage)


def _fidelity(loaded: modelfolder.Loaded, shards: Shards, settings: Settings) -> dict[str, Any]:
    """How close a model comes to the teacher; "why" where that cannot be said."""
    data, teacher = settings.data, modelfolder.load(settings.teacher, settings.device)
    known = {"teacher": settings.teacher, "weights": modelfolder.weights_digest(settings.teacher)}
    if why := fidelity.obstacle(loaded, teacher):
        return {**known, "why": why}
    own, its = (
        still_loader(shards, one.task, settings.batch, None, data.engine, data.threads, settings.device)
        for one in (loaded, teacher)
    )
    return {**known, **fidelity.measure(loaded, teacher, own.batches(0), its.batches(0), settings.seed)}


def _gather(settings: Settings) -> list[str]:
    """The checkpoints to evaluate, each once: those asked for, the baseline, and the controls that exist."""
    if not settings.checkpoint:
        raise BadSettings("checkpoint= is required: one or more model folders, for example runs/first/best")
    paths = [*settings.checkpoint, *([settings.baseline] if settings.baseline else [])]
    if not settings.baseline:
        for path in settings.checkpoint:
            control = control_of(path, modelfolder.load(path).config)
            if control and _trained(control):
                paths.append(str(control) if Path(path).is_absolute() else os.path.relpath(control))
    found: dict[Path, str] = {}
    for path in paths:
        found.setdefault(Path(path).resolve(), path)
    return list(found.values())


def _trained(control: Path) -> bool:
    """Whether a control is there, and no run that is still training it."""
    status = control.parent / "status.json"
    return control.is_dir() and (not status.exists() or read_json(status).get("state") != "running")


def main(argv: list[str]) -> None:
    """Entry."""
    settings = _settle(config.read(Settings, "evaluation", argv))
    report = Reporter("train.evaluation", settings.json)
    shards = Shards(settings.data.root, settings.data.split, fetched=settings.data.room)
    report.header(
        data=shards.digest[:12], split=settings.data.split, samples=len(shards), device=settings.device
    )
    judged, told = [evaluate(path, shards, settings) for path in _gather(settings)], _told(settings, shards)
    found = verdicts(judged, settings.baseline, settings.seed)
    scoreboard.models(report, judged, found)
    scoreboard.words(report, judged)
    scoreboard.front(report, judged, settings.plot, told["set"])
    scoreboard.reading(report, judged, settings.recogniser)
    scoreboard.groups(report, judged)
    if settings.bench:
        scoreboard.averages(report, settings.bench, judged)
    scoreboard.closeness(report, judged, settings.teacher)
    if settings.tta:
        report.say(f"tta: each picture was looked at {', '.join(map(str, scales.SCALES))} times as large")
    for reason in judged[0].damage.values():
        report.say(f"counted as missed: {reason}")
    for path, verdict in found.items():
        if said := words_of(path, verdict):
            report.say(said)
    result = {one.path: {**one.figures, **found[one.path], **told} for one in judged}
    runs = keeping.in_runs(judged, result)
    if settings.card:
        report.say(f"written on the card of {', '.join(_cards(settings, judged, result))}")
    if settings.suspects:
        rows = suspects.write(Path(settings.suspects), judged[0], shards)
        report.say(f"{rows} labels that {short(judged[0].path)} reads otherwise: {settings.suspects}")
    read = {one.path: {f"{uid:016x}": hit for uid, hit in one.score.right.items()} for one in judged}
    for path, models in ((settings.out, result), (settings.words, read)):
        if path:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            write_json(Path(path), {"format": 1, "models": models})
    report.done(f"python -m train.report {' '.join(runs)}" if runs else "", models=result)


def _cards(settings: Settings, judged: list[Judged], result: dict[str, dict[str, Any]]) -> list[str]:
    return keeping.on_cards(settings.checkpoint, judged, result, settings.data.split, settings.protocol)


def _told(settings: Settings, shards: Shards) -> dict[str, Any]:
    """What the data is called, and how it was looked at where that is not the usual way; its digest; who read
    what was found.
    """
    reader = spotting.identity(settings.recogniser) if settings.recogniser else {}
    name = "+".join(m.name for m in shards.manifests) + f"-{settings.data.split}"
    name += "" if settings.protocol == "native" else f"-{settings.protocol}"
    name += f"-{decoders.called(settings.decoder)}" if settings.decoder else ""
    name += f"-read-by-{spotting.called(reader)}" if reader else ""
    name += "-tta" if settings.tta else ""
    return {"set": name, "data": shards.digest, **({"recogniser": reader} if reader else {})}


def _settle(settings: Settings) -> Settings:
    """Refuses what cannot be, and takes the sets and the protocol of a bench."""
    judging.device(settings.device)
    for way in settings.by:
        check(way)
    protocols.known(settings.protocol)
    keeping.check_folders(settings.checkpoint if settings.card else ())
    if settings.suspects and Path(settings.suspects).is_dir():
        raise BadSettings(
            f"suspects={settings.suspects}: a folder stands there; give a file, as suspects.csv"
        )
    if settings.plot:
        settings.latency = True
        scoreboard.check(settings.plot)
    if settings.bench:
        settings.data.root = benches.roots(settings.bench, settings.data.split, settings.data.root)
        if settings.protocol == "native":
            settings.protocol = benches.PROTOCOL
    return settings


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
