"""The front of models: who is beaten and who is not, and a picture that has them all."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shards.errors import BadSettings
from shards.progress import Reporter
from tests.train.test_evaluation import folder
from train import evaluation, pareto, scoreboard
from train.pareto import Point, draw, front
from train.verdicts import Judged

few = st.integers(1, 4).map(float)
points = st.lists(
    st.builds(lambda a, b, v: Point("m", (a, b), v, v, v), few, few, few), min_size=1, max_size=9
)


@given(points)
def test_the_front_holds_those_that_nobody_beats_and_beats_all_others(found):
    kept = front(found)
    assert kept
    assert not any(one.beats(other) for one in kept for other in kept)
    for point in found:
        assert (point in kept) != any(one.beats(point) for one in kept)


@given(points)
def test_the_best_the_smallest_and_the_quickest_are_equalled_on_the_front(found):
    kept = front(found)
    assert kept[0].value == max(point.value for point in found)
    for which in range(2):
        assert min(p.costs[which] for p in kept) == min(p.costs[which] for p in found)


def test_a_picture_shows_one_model_and_many():
    for many in (1, 12):
        told = [Point(f"runs/$m_{i}$", (0.5 * (i + 1), 2.0), 90.0 - i, 88.0 - i, 91.0) for i in range(many)]
        picture = Image.open(io.BytesIO(draw(told, "word accuracy, %")))
        assert picture.width > 1000
        assert draw(told, "word accuracy, %") == draw(told[::-1], "word accuracy, %")


def test_an_evaluation_names_its_front_and_draws_it(words, tmp_path, capsys, monkeypatch):
    titles = []
    monkeypatch.setattr(
        pareto, "draw", lambda points, title, real=draw: titles.append(title) or real(points, title)
    )
    models = ",".join(str(folder(tmp_path / name, seed)) for seed, name in enumerate("ab"))
    told = [f"data.root={words}", f"checkpoint={models}", f"plot={tmp_path / 'p' / 'all.png'}", "json=true"]
    evaluation.main(told)
    said = capsys.readouterr().out
    assert "beaten by none in size, latency and word accuracy together" in said
    found = json.loads(said.splitlines()[-1])["models"]
    assert titles == [f"word accuracy, % of {found[models.split(',')[0]]['set']}"]
    assert all(one["ms_per_image"] > 0 for one in found.values())
    assert (tmp_path / "p" / "all.png").read_bytes().startswith(b"\x89PNG")


def test_the_picture_has_a_place_before_anything_is_evaluated(words, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    for plot, why in (
        ("all.pdf", "png"),
        (tmp_path / "file" / "a.png", "another"),
        (tmp_path / "folder.png", "another"),
    ):
        with pytest.raises(BadSettings, match=f"plot={plot}: .*{why}"):
            evaluation.main([f"data.root={words}", "checkpoint=/no/model", f"plot={plot}"])


def test_points_stand_at_their_costs_the_beaten_grey_and_the_line_along_each_front(monkeypatch):
    from matplotlib import pyplot

    drawn = []
    monkeypatch.setattr(pyplot, "close", drawn.append)
    told = [
        Point("a", (1.0, 9.0), 50, 45, 55),
        Point("b", (2.0, 3.0), 70, 60, 75),
        Point("c", (4.0, 5.0), 60, 55, 65),
    ]
    draw(told, "word accuracy, %")
    (figure,) = drawn
    for axes, which in zip(figure.axes, range(2), strict=True):
        dots = {
            (line.get_xdata()[0], line.get_ydata()[0]): line
            for line in axes.lines
            if line.get_marker() == "o"
        }
        assert set(dots) == {(point.costs[which], point.value) for point in told}
        assert dots[4.0 if which == 0 else 5.0, 60].get_color() == pareto.OFF
        assert {line.get_color() for place, line in dots.items() if place[1] != 60} == {pareto.ON}
        (line,) = [line for line in axes.lines if line.get_linestyle() == "--"]
        assert list(line.get_ydata()) == ([50, 70] if which == 0 else [70])
    monkeypatch.undo()
    pyplot.close(figure)


def test_the_front_of_an_evaluation_is_of_its_figures(capsys):
    def judged(name, right, mb, ms):
        share = {"value": right, "low": right, "high": right}
        heading = {"name": "word_acc", "title": "word accuracy, %", "times": 100.0, "digits": 2}
        figures = {"mb": mb, "ms_per_image": ms, "word_acc": share, "headings": [heading]}
        return Judged(f"runs/{name}", {}, None, figures, {}, {})

    models = [judged("good", 0.9, 2.0, 2.0), judged("worse", 0.8, 2.0, 3.0), judged("small", 0.5, 1.0, 2.0)]
    scoreboard.front(Reporter("t"), models, "", "own-test")
    assert capsys.readouterr().out.strip().endswith("together: runs/good, runs/small")
