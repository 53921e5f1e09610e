"""examples.jsonl: which words are chosen, in which order, what is told of them; only against a control."""

import json
import shutil
from types import SimpleNamespace

import pytest
import torch

from distill import examples, student
from distill.cache import Cache
from distill.lesson import Lesson
from distill.studying import Settings, control, settle
from distill.teachers import Cached, Live, NoTeacher
from shards import config
from train import changes, judging, workbench

# uid -> truth as written, as it is compared, reading, confidence
MINE = {1: ("Ab", "ab", "ab", 0.9), 2: ("c", "c", "c", 0.8), 3: ("d", "d", "x", 0.7), 4: ("e", "e", "e", 0.9)}
THEIRS = {
    1: ("Ab", "ab", "a", 0.6),
    2: ("c", "c", "o", 0.1),
    3: ("d", "d", "d", 0.9),
    4: ("e", "e", "e", 0.9),
}


def test_words_are_chosen_where_one_is_right_and_sorted_by_how_much_surer_it_is():
    assert examples.changed(MINE, THEIRS) == ([2, 1], [3])
    assert examples.changed(THEIRS, MINE) == ([3], [2, 1])
    assert examples.changed(MINE, MINE) == ([], [])
    equal = {uid: ("a", "a", "b", 0.5) for uid in (3, 1, 2)}
    assert examples.changed({uid: ("a", "a", "a", 0.7) for uid in equal}, equal) == ([1, 2, 3], [])


def test_a_word_that_one_side_could_not_see_is_neither_helped_nor_hurt():
    assert examples.changed(MINE, {1: THEIRS[1]}) == ([1], [])


def test_an_opinion_is_the_best_class_of_each_step_and_the_second_if_it_has_some_probability():
    shares = torch.tensor([[0.9, 0.06, 0.04], [0.3, 0.62, 0.08], [0.1, 0.1, 0.8]])
    assert examples.opinion(shares.log(), "ab") == [["", 0.9], ["a", 0.62, "", 0.3], ["b", 0.8]]


@pytest.fixture(scope="module")
def family(words, teacher, tmp_path_factory):
    """A bench of a student, a function that opens it, and the runs of student and control, trained."""
    root, tiny = tmp_path_factory.mktemp("runs"), ["model.channels=[4,4,8,8,8,8,8]", "model.map_to_seq=8"]
    argv = [
        f"data.root={words}", f"run.root={root}", "run.name=s", f"teacher={teacher}", "fit.epochs=1",
        "data.views=2", "fit.batch=32", "data.threads=1", "model.rnn_hidden=8", *tiny,
    ]  # fmt: skip
    student.main([*argv, "method=hard"])
    student.main([*argv, "method=none", "run.name=s-control"])
    settings = settle(config.read(Settings, "student", argv), argv)
    bench = workbench.bench(settings, "distill.student")
    return SimpleNamespace(bench=bench, root=root, run=root / "s", control=control(settings))


@pytest.fixture
def decided(family, monkeypatch):
    """Student and control read as decided here, since neither has learnt to read: {uid: (text, text)}."""
    shards = family.bench.val_loader.shards
    uids = [int(shards.uids[at]) for at in family.bench.val_loader.positions]
    truths = {uid: shards.text(at) for at, uid in enumerate(uids)}
    said = {uid: (truths[uid], "wrong") if at % 2 else ("wrong", truths[uid]) for at, uid in enumerate(uids)}
    asked = []

    def readings(bench, loaded):
        asked.append(loaded)
        which = len(asked) % 2 == 0
        return {u: (truths[u], truths[u], said[u][which], 0.5 + at / 100) for at, u in enumerate(uids)}

    monkeypatch.setattr(examples, "_readings", readings)
    return uids


def lines(family) -> list[dict]:
    return [json.loads(line) for line in (family.run / changes.NAME).read_text().splitlines()]


@pytest.mark.slow
def test_the_file_tells_of_every_chosen_word_and_is_the_same_when_written_again(family, decided, teacher):
    said = examples.write(family.bench, family.control, Live(teacher))
    assert said.endswith("examples.jsonl: 16 validation words helped by the teacher, 16 hurt")
    found = lines(family)
    assert [one["kind"] for one in found] == ["helped"] * 16 + ["hurt"] * 16
    assert {one["uid"] for one in found} == {f"{uid:016x}" for uid in decided}
    for one in found:
        assert one["of"] == 16
        assert one["format"] == 1
        right, wrong = ("student", "control") if one["kind"] == "helped" else ("control", "student")
        assert (one[right]["text"], one[wrong]["text"]) == (one["truth"], "wrong")
        assert len(one["student"]["steps"]) == len(one["teacher"]["steps"]) == 24
        assert "steps" not in one["control"]
        for step in (*one["student"]["steps"], *one["teacher"]["steps"]):
            assert len(step) in (2, 4)
            assert step[1] >= (step[3] if len(step) == 4 else 0) >= 0
            assert len(step) == 2 or step[3] > changes.DOUBT
    before = (family.run / changes.NAME).read_bytes()
    examples.write(family.bench, family.control, Live(teacher))
    assert (family.run / changes.NAME).read_bytes() == before
    assert [one.kind for one in changes.read(family.run / changes.NAME)] == [one["kind"] for one in found]


@pytest.mark.slow
def test_the_steps_are_of_the_word_they_stand_by(family, decided, teacher):
    live = Live(teacher)
    examples.write(family.bench, family.control, live)
    bench, told = family.bench, {one["uid"]: one for one in lines(family)}
    source = judging.still_loader(bench.val_loader.shards, bench.task, 8, bench.val_loader.positions)
    for batch in source.batches(0):
        answers = live(batch).log_probs
        for row, uid in enumerate(batch.uids.tolist()):
            wanted = examples.opinion(answers[row], bench.task.charset.characters)
            found = told[f"{uid:016x}"]["teacher"]["steps"]
            assert [step[0] for step in found] == [step[0] for step in wanted]
            assert [step[1] for step in found] == pytest.approx([step[1] for step in wanted], abs=2e-4)


@pytest.mark.slow
def test_a_teacher_that_cannot_answer_is_left_out(family, decided, cache, teacher):
    live = Live(teacher)

    def doubted(batch):
        lesson = live(batch)
        return Lesson(batch, lesson.log_probs, trust=torch.tensor([batch.uids[0].item() == decided[0]]))

    recorded = Cached(Cache(cache))
    assert "teacher" in _one(family, recorded)  # the cache holds split val too
    unknown = _of_others(recorded)
    for teach, known in ((NoTeacher(), 0), (unknown, 0), (doubted, 1)):
        examples.write(family.bench, family.control, teach)
        found = lines(family)
        assert len(found) == 32
        assert sum("teacher" in one for one in found) == known


def _one(family, teach) -> dict:
    examples.write(family.bench, family.control, teach)
    return lines(family)[0]


def _of_others(recorded):
    """The cache asked about samples that nobody recorded."""

    def teach(batch):
        batch.uids = batch.uids ^ (1 << 50)
        return recorded(batch)

    return teach


@pytest.mark.slow
def test_without_a_control_that_is_one_nothing_is_written_and_nothing_old_is_left(family, decided, teacher):
    live = Live(teacher)
    examples.write(family.bench, family.control, live)
    said = examples.write(family.bench, family.root / "nobody", live)
    assert f"there is no control {family.root / 'nobody' / 'best'}" in said
    assert not (family.run / changes.NAME).exists()
    shutil.copytree(family.control, family.root / "longer")
    text = (family.root / "longer" / "config.yaml").read_text()
    (family.root / "longer" / "config.yaml").write_text(text.replace("epochs: 1", "epochs: 7"))
    said = examples.write(family.bench, family.root / "longer", live)
    assert "is not written: " in said
    assert "fit.epochs is 1, in its control" in said
    assert not (family.run / changes.NAME).exists()


@pytest.mark.slow
def test_both_read_every_validation_word_and_damaged_ones_are_left_out(family, monkeypatch):
    loaded = examples.modelfolder.load(family.run / "best")
    found = examples._readings(family.bench, loaded)
    assert len(found) == 32
    assert all(truth == raw.lower() for raw, truth, _, _ in found.values())
    real = examples.judge

    def judged(model, task, source, damage):
        meter = real(model, task, source, damage=damage)
        damage[next(iter(found))] = "cut"
        return meter

    monkeypatch.setattr(examples, "judge", judged)
    assert len(examples._readings(family.bench, loaded)) == 31
