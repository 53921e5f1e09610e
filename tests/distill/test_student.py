import json
import re
import shutil

import pytest

from distill import record, student
from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from train import evaluation, modelfolder
from train import teacher as teachers
from train.runfolder import read_metrics

pytestmark = pytest.mark.slow
SHORT = ["fit.epochs=2", "fit.batch=32", "fit.log_every=1", "optim.lr=1e-3"]


@pytest.fixture
def train(words, tiny, tmp_path):
    """train(name, *more) -> the lines of metrics.jsonl that hold losses."""

    def run(name, *more):
        student.main([f"data.root={words}", f"run.root={tmp_path}", f"run.name={name}", *tiny, *SHORT, *more])
        return [line for line in read_metrics(tmp_path / name) if "train/loss" in line]

    return run


def trace(lines, term="loss"):
    return [line[f"train/{term}"] for line in lines]


@pytest.mark.parametrize("method", ["logits", "hard", "[logits,hard]"])
def test_a_cached_student_has_the_losses_of_one_with_a_live_teacher(train, cache, teacher, method):
    more = [f"method={method}"]
    more += ["method.logits.weight=.6", "method.hard.weight=.2"] if "," in method else []
    cached, live = (
        train("cached", f"cache={cache}", *more),
        train("live", f"teacher={teacher}", "data.views=2", *more),
    )
    assert len(cached) == len(live) == 6
    for name in ("loss", "task", *method.strip("[]").split(",")):
        assert trace(cached, name) == pytest.approx(trace(live, name), rel=2e-3)
    weights = {"[logits,hard]": (0.6, 0.2)}.get(method, (0.5, 0.5))
    first = cached[0]
    total = sum(w * first.get(f"train/{n}", 0) for n, w in zip(("logits", "hard"), weights, strict=True))
    task = 0.2 if "," in method else 0.5
    assert first["train/loss"] == pytest.approx(total + task * first["train/task"], rel=1e-5)


def test_the_control_is_a_teachers_run_with_the_students_views(train, cache, words, tiny, tmp_path, capsys):
    control = train("s-control", f"cache={cache}", "method=none")
    augment = ["augment.blur=1", "augment.noise=.05", "augment.rotation=3", "data.views=2"]
    teachers.main([f"data.root={words}", f"run.root={tmp_path}", "run.name=plain", *tiny, *SHORT, *augment])
    assert trace(control) == trace([li for li in read_metrics(tmp_path / "plain") if "train/loss" in li])
    capsys.readouterr()
    student_lines = train("s", f"cache={cache}", "json=true")
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["next"].startswith("python -m train.evaluation")  # its control stands already
    assert trace(student_lines, "task")[0] == trace(control, "task")[0]  # same weights, same first batch


def test_a_student_without_a_control_is_told_how_to_get_one(train, cache, tmp_path, capsys):
    train("s", f"cache={cache}", "method=logits", "method.logits.temperature=4", "json=true")
    out = capsys.readouterr().out
    told = json.loads(out.splitlines()[-1])["next"]
    assert "verdict: NOT JUDGED" in out
    assert f"cache={cache}" in told
    assert told.endswith("method=none run.name=s-control")
    assert "temperature" not in told


def test_an_assistant_hands_on_what_it_learnt(train, cache, teacher, recipe, words, tmp_path):
    """Teacher, assistant, student: each is recorded like any other and names whom it learnt from."""
    train("assistant", f"cache={cache}", "method=logits", "model.rnn_hidden=6")
    assistant, second = tmp_path / "assistant" / "best", tmp_path / "second"
    record.main(recipe(assistant, words, second, "kl_limit=1"))
    lines = train("last", f"cache={second}", "method=logits", "model.rnn_hidden=4")
    control = train("last-control", f"cache={second}", "method=none", "model.rnn_hidden=4")
    assert trace(lines, "task")[0] == trace(control, "task")[0]
    assert trace(lines, "task")[-1] != trace(control, "task")[-1]  # the assistant pulled
    chain = [
        modelfolder.load(folder).config["teacher"]["weights"]
        for folder in (tmp_path / "last" / "best", assistant)
    ]
    assert chain == [modelfolder.weights_digest(folder) for folder in (assistant, teacher)]


def test_a_students_folder_is_an_ordinary_model_folder(train, cache, teacher, tmp_path):
    train("s", f"cache={cache}", "fit.epochs=1")
    found = modelfolder.load(tmp_path / "s" / "best")
    plain = modelfolder.load(teacher)
    assert [n for n, _ in found.model.named_parameters()] == [n for n, _ in plain.model.named_parameters()]
    assert found.config["teacher"]["weights"] == modelfolder.weights_digest(teacher)
    assert found.config["method"] == {"hard": {"weight": 0.5, "schedule": [], "confidence": 0.0}}
    assert found.config["control"] == "s-control"
    assert found.config["augment"]["blur"] == 1.0


def test_image_and_charset_come_from_the_teacher(train, make_teacher, tmp_path):
    from shards.image import ImageSpec

    other = make_teacher(tmp_path / "t62", image=ImageSpec(width=128, mean=0.4), charset="62")
    train("s", f"teacher={other}", "fit.epochs=1")
    found = modelfolder.load(tmp_path / "s" / "best")
    assert (found.task.image.width, found.task.image.mean) == (128, 0.4)
    assert found.task.charset.size == 63


def test_a_student_sees_the_pixels_of_the_engine_that_its_cache_was_recorded_with(
    train, words, teacher, cache, recipe, tmp_path, capsys
):
    pytest.importorskip("nvidia.dali", reason="the extra `dali` is not installed")
    other = tmp_path / "dali"
    record.main(recipe(teacher, words, other, "codec=dense", "data.engine=dali"))
    for engine, recorded in (("plain", cache), ("dali", other)):
        train(engine, f"cache={recorded}", "fit.epochs=1")
        said = capsys.readouterr().out
        assert re.search(rf"engine {engine}/cpu/\S+ \(data\.engine asks for it\)", said)
    train("picked", f"cache={cache}", "data.engine=auto", "fit.epochs=1")  # it picks what it picked before
    assert "(auto: " in capsys.readouterr().out
    with pytest.raises(BadData, match=r"engine is dali/cpu.* in the cache, plain/cpu.* here, and canvases"):
        train("refused", f"cache={other}", "data.engine=plain")
    train("near", f"cache={other}", "data.engine=plain", "cache.tolerance=2", "fit.epochs=1")


def test_a_calibrated_teacher_teaches_as_before_and_hands_on_no_temperature(train, make_teacher, tmp_path):
    other = make_teacher(tmp_path / "teacher")
    plain = trace(train("plain", f"teacher={other}", "fit.epochs=1"))
    modelfolder.amend(other, lambda _: {"calibration": {"temperature": 2.5, "decoder": "greedy"}})
    assert trace(train("calibrated", f"teacher={other}", "fit.epochs=1")) == plain
    made = modelfolder.load(tmp_path / "calibrated/best")
    assert "calibration" not in made.config
    assert made.task._temperature == 1.0


def test_a_student_without_a_teacher_is_refused(train):
    with pytest.raises(BadSettings, match=r"method=hard needs cache=DIR or teacher=MODEL"):
        train("s")


@pytest.mark.parametrize("kept", ["live", "recorded"])
def test_a_teacher_of_another_charset_and_other_steps_is_brought_onto_the_students_side(
    train, cache, teacher, tmp_path, kept
):
    source = [f"cache={cache}"] if kept == "recorded" else [f"teacher={teacher}", "image.width=128"]
    lines = train("s", *source, "task.charset=62", "method=logits", "fit.epochs=1")
    assert all(0 < line["train/logits"] < 100 for line in lines)
    told = modelfolder.load(tmp_path / "s" / "best").config["teacher"]["reconciled"]
    assert told["frames"] == (24 if kept == "recorded" else 31)
    assert len(told["charset"]["characters"]) == 62


def test_a_teacher_that_knows_too_few_characters_is_refused(train, teacher):
    with pytest.raises(BadSettings, match=r"the teacher knows 1 of the student's 4 characters"):
        train("s", f"teacher={teacher}", "task.characters=aäöü", "method=logits")


def test_several_teachers_answer_as_one(train, cache, teacher, make_teacher, tmp_path):
    other = make_teacher(tmp_path / "other", seed=3)
    lines = train("s", f"teacher={teacher},{other}", "ensemble=per_sample", "data.views=1", "fit.epochs=1")
    assert all(line["train/hard"] > 0 for line in lines)
    told = modelfolder.load(tmp_path / "s" / "best").config["teacher"]
    assert told["ensemble"] == "per_sample"
    assert told["weights"].count("+") == 1
    twice = train("twice", f"cache={cache},{cache}", "ensemble=mean", "method=logits", "fit.epochs=1")
    once = train("once", f"cache={cache}", "method=logits", "fit.epochs=1")
    assert trace(twice, "logits") == pytest.approx(trace(once, "logits"), rel=1e-3)


def test_a_broken_cache_stops_the_student(train, cache, tmp_path):
    place = shutil.copytree(cache, tmp_path / "c")
    found = next(place.glob("*train*/view0/log_probs/c/0/0/0"))
    data = bytearray(found.read_bytes())
    data[7] ^= 1
    found.write_bytes(bytes(data))
    with pytest.raises(BadData, match=r"c/0/0/0: chunk differs from its crc32c"):
        train("s", f"cache={place}")


def test_a_run_goes_on_from_a_moved_cache_but_not_from_one_of_another_teacher(
    train, cache, words, make_teacher, recipe, tmp_path
):
    first = train("s", f"cache={shutil.copytree(cache, tmp_path / 'c')}", "fit.epochs=1")
    shutil.move(tmp_path / "c", tmp_path / "moved")
    assert train("s", f"cache={tmp_path / 'moved'}", "fit.epochs=1") == first
    other = make_teacher(tmp_path / "other", seed=5)
    record.main(recipe(other, words, tmp_path / "c", "codec=dense", "taps=[rnn2]"))
    with pytest.raises(BadSettings, match=r"was begun with identity\.cache=\w{64}, now it is \w{64}"):
        train("s", f"cache={tmp_path / 'c'}", "fit.epochs=1")


def test_another_live_teacher_under_the_same_path_is_refused(train, make_teacher, tmp_path):
    place = make_teacher(tmp_path / "t")
    train("s", f"teacher={place}", "fit.epochs=1")
    shutil.rmtree(place)
    make_teacher(place, seed=5)
    with pytest.raises(BadSettings, match=r"was begun with identity\.teacher="):
        train("s", f"teacher={place}", "fit.epochs=1")


def test_the_header_says_what_the_loss_is(train, cache, capsys):
    train("s", f"cache={cache}", "method=[logits,hard]", "method.logits.weight=.6", "method.hard.weight=.4")
    assert "loss = 0 task + 0.6 logits + 0.4 hard" in capsys.readouterr().out


def test_a_student_and_the_control_it_asks_for_are_judged_and_other_controls_are_not(
    train, cache, words, tmp_path
):
    def verdict():
        argv = [f"checkpoint={tmp_path / 's' / 'best'}", f"data.root={words}", f"out={tmp_path / 'e.json'}"]
        evaluation.main([*argv, "data.threads=1"])
        return json.loads((tmp_path / "e.json").read_text())["models"][str(tmp_path / "s" / "best")]

    train("s", f"cache={cache}", "fit.epochs=1")
    train("s-control", f"cache={cache}", "fit.epochs=1", "method=none")
    assert "difference" in verdict()
    shutil.rmtree(tmp_path / "s-control")
    train("s-control", "fit.epochs=1", "method=none")  # without the cache: without its augmentation
    assert (verdict()["verdict"], verdict()["field"]) == ("NOT JUDGED", "augment.blur")


def test_pictures_of_several_widths_are_taught_from_a_cache_as_by_a_live_teacher(
    train, words, make_teacher, recipe, tmp_path
):
    """A recording meets all widths in one batch, a student one at a time."""
    image = ImageSpec(width=128, fit="keep", buckets=[48, 64, 128])
    teacher = make_teacher(tmp_path / "t", image=image)
    record.main(recipe(teacher, words, tmp_path / "c", "codec=dense"))
    cached = train("cached", f"cache={tmp_path / 'c'}", "method=nkd")
    live = train("live", f"teacher={teacher}", "data.views=2", "method=nkd")
    assert len(cached) == len(live) > 6  # more steps than batches of one width would take
    for name in ("loss", "task", "nkd"):
        assert trace(cached, name) == pytest.approx(trace(live, name), rel=2e-3)
    with pytest.raises(BadSettings, match="taps"):
        record.main(recipe(teacher, words, tmp_path / "d", "taps=[rnn2]"))
