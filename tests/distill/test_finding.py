"""Detectors through the house: taught, recorded, distilled from the cache as live, judged, told on a page."""

import json
from dataclasses import replace

import pytest
import torch

from distill import record, student
from distill.answers import cells
from distill.cache import Cache
from distill.codecs import Kept
from distill.codecs.cells import Codec
from distill.teachers import Cached, Live
from ingest import shard
from shards.errors import BadData, BadSettings
from train import evaluation, modelfolder, predict, report, teacher

MODEL = ["task=boxes", "task.floor=0", "task.threshold=.005", "model=yolo_p", "model.width=.03"]
CANVAS = ["image.height=64", "image.width=96", "image.channels=rgb", "image.fit=letterbox"]
SHORT = ["fit.epochs=1", "fit.batch=8", "fit.log_every=1", "optim.lr=.003"]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A folder with scenes, a teacher of one epoch, and its cache."""
    root = tmp_path_factory.mktemp("house")
    for split, count in (("train", 24), ("val", 8), ("test", 8)):
        own = [f"out={root / 'data'}", f"split={split}", f"count={count}"]
        shard.main(["source=rendered", "level=scenes", *own, "scene_width=160", "scene_height=120",
                    "min_word_height=.2", "wordless=0"])  # fmt: skip
    teacher.main([*MODEL, *CANVAS, *SHORT, "augment=scene", f"data.root={root / 'data'}", f"run.root={root}",
                  "run.name=teacher"])  # fmt: skip
    record.main([f"checkpoint={root}/teacher/best", f"data.root={root / 'data'}", f"out={root / 'cache'}",
                 "views=2", "batch=8", "cells=40", "taps=[layer17:int8]"])  # fmt: skip
    return root


def taught(house, name: str, *given: str) -> list[dict]:
    """The lines of metrics.jsonl of a student."""
    student.main(
        [*MODEL, *SHORT, f"data.root={house / 'data'}", f"run.root={house}", f"run.name={name}", *given]
    )
    return [json.loads(line) for line in (house / name / "metrics.jsonl").read_text().splitlines()]


def losses(lines: list[dict], term: str) -> list[float]:
    return [line[f"train/{term}"] for line in lines if f"train/{term}" in line]


def test_a_cache_holds_the_surest_cells_and_students_learn_from_it_as_from_the_teacher(house):
    cache = Cache(house / "cache")
    assert cache.card.kinds == ["cells"]
    assert cache.card.codec.k == 40
    assert cache.card.charset == {}
    assert cache.card.grids == [[8, 12], [4, 6], [2, 3]]
    methods = ["method=[response,pkd]", "method.response.weight=.4", "method.pkd.weight=.1",
               "method.pkd.taps=[layer17]"]  # fmt: skip
    cached = taught(house, "cached", *methods, f"cache={house / 'cache'}")
    live = taught(house, "live", *methods, f"teacher={house}/teacher/best", "data.views=2")
    for term in ("task", "response", "pkd"):
        one, other = losses(cached, term), losses(live, term)
        assert len(one) == 3
        assert one == pytest.approx(other, rel=0.05, abs=0.02), term
    assert all(line["train/grad/response"] > 0 for line in cached if "train/grad/response" in line)


def test_students_are_judged_read_and_told_on_a_page(house, capsys):
    taught(house, "small-control", "method=none", f"cache={house / 'cache'}")
    taught(house, "small", "method=response", f"cache={house / 'cache'}")
    out = house / "evaluation.json"
    both = f"checkpoint={house}/small/best,{house}/teacher/best"
    evaluation.main([both, f"data.root={house / 'data'}", "latency=true", f"out={out}", "by=source",
                     f"recogniser={predict.PRETRAINED}"])  # fmt: skip
    models = json.loads(out.read_text())["models"]
    for one in models.values():
        assert {"hmean", "precision", "recall", "oracle_hmean", "end_to_end"} <= set(one)
        assert one["ms_to_find_and_read"]["value"] > 0
        assert one["hmean"]["low"] <= one["hmean"]["value"] <= one["hmean"]["high"]
        assert one["n"] == 8
        assert len({len(values) for values in one["curve"].values()}) == 1
    assert models[f"{house}/small/best"]["verdict"] in ("BETTER", "WORSE", "NO DIFFERENCE")
    report.main([str(house / "small"), str(house / "teacher"), f"out={house / 'page.html'}"])
    page = (house / "page.html").read_text(encoding="utf-8")
    assert "H-mean, %" in page
    assert '<figure class="mistake' in page
    assert "Precision over recall" in page
    assert "pictures with the most faults" in page
    assert page.count("data:image/jpeg;base64,") == 16  # every picture of two models
    assert "end to end" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["method=logits"], "logits"), (["method=response", "task.quads=true"], "terms|task"),
        (["method=response", "image.height=96"], "image"),
    ],
)  # fmt: skip
def test_what_a_teacher_of_cells_cannot_teach_is_refused(house, given, said):
    with pytest.raises(BadSettings, match=said):
        taught(house, "refused", *given, f"teacher={house}/teacher/best")


def test_equal_numbers_of_cells_on_other_grids_are_refused_and_so_is_a_cache_that_tells_none(house):
    task, cache = modelfolder.load(house / "teacher" / "best").task, Cache(house / "cache")
    told = Cached(cache)
    assert told.shapes.grids == Live(house / "teacher" / "best").shapes.grids == ((8, 12), (4, 6), (2, 3))
    assert cells.recorded(told, cache.card, task, 126) is told
    untold = replace(cache.card, grids=[])
    assert cells.recorded(told, untold, task) is told  # where no cells are compared
    with pytest.raises(BadData, match=r"cache: does not say on which grids its 126 cells .*record it anew"):
        cells.recorded(told, untold, task, 126)


@pytest.mark.parametrize("mode", ["mean", "best", "per_sample"])
def test_several_teachers_of_cells_teach_live_and_from_caches(house, mode):
    both = [f"{house}/{name}/best" for name in ("teacher", "rival")]
    if not (house / "rival").exists():
        teacher.main([*MODEL, *CANVAS, *SHORT, "augment=scene", f"data.root={house / 'data'}", "seed=1",
                      f"run.root={house}", "run.name=rival"])  # fmt: skip
        record.main([f"checkpoint={both[1]}", f"data.root={house / 'data'}", f"out={house / 'second'}",
                     "views=2", "batch=8", "cells=40"])  # fmt: skip
    given = ["method=response", f"ensemble={mode}"]
    caches = f"cache=[{house / 'cache'},{house / 'second'}]"
    cached = losses(taught(house, f"{mode}-cached", *given, caches), "response")
    found = taught(house, f"{mode}-live", *given, f"teacher=[{','.join(both)}]", "data.views=2")
    assert cached == pytest.approx(losses(found, "response"), rel=0.1, abs=0.02)
    told = modelfolder.load(house / f"{mode}-live" / "best").config["teacher"]
    assert (told["ensemble"], len(told["teachers"])) == (mode, 1 if mode == "best" else 2)


def test_pictures_without_labels_are_refused_without_a_teacher_too(house, tmp_path):
    photos = tmp_path / "photos"
    shard.main(["source=rendered", "level=scenes", "name=photos", f"out={photos}", "count=4", "seed=5"])
    with pytest.raises(BadSettings, match=r"data\.unlabelled: detectors learn from labels"):
        taught(house, "refused", "method=mutual", *CANVAS, f"data.unlabelled={photos}")


def test_a_recogniser_cannot_teach_a_detector(house):
    with pytest.raises(BadSettings, match="another task"):
        taught(house, "refused", "method=response", f"teacher={predict.PRETRAINED}", *CANVAS)


def test_protocols_and_groups_of_words_are_no_matter_of_detectors(house):
    given = [f"checkpoint={house}/teacher/best", f"data.root={house / 'data'}"]
    evaluation.main([*given, "protocol=ocrdistill"])
    for bad in ("protocol=36", "by=length", f"recogniser={house}/teacher/best"):
        with pytest.raises(BadSettings):
            evaluation.main([*given, bad])
    assert modelfolder.load(house / "teacher" / "best").task.finds


def test_cells_come_back_and_those_left_out_share_a_logit():
    g = torch.Generator().manual_seed(0)
    answers = torch.randn(3, 50, 5, generator=g) * 3
    answers[..., 0] -= 4
    codec = Codec(50, 5, Kept("cells", k=12))
    arrays, lost = codec.encode(answers)
    back = codec.decode(arrays)
    kept = answers[..., 0].topk(12).indices
    for n in range(3):
        assert torch.allclose(back[n, kept[n]], answers[n, kept[n]], atol=2e-2)
        others = torch.tensor([c for c in range(50) if c not in kept[n].tolist()])
        assert len(back[n, others, 0].unique()) == 1
        assert not back[n, others, 1:].any()
    assert 0 < lost.kl < 0.1
    assert Codec(50, 5, Kept("cells", k=50)).encode(answers)[1].kl < 1e-4
    with pytest.raises(BadSettings, match="cells"):
        Codec(50, 5, Kept("cells", k=51))
