"""The front of models: who is beaten and who is not, and a picture that has them all."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shards.errors import BadSettings
from tests.train.test_evaluation import folder
from train import evaluation
from train.pareto import Point, draw, front

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


def test_an_evaluation_names_its_front_and_draws_it(words, tmp_path, capsys):
    models = ",".join(str(folder(tmp_path / name, seed)) for seed, name in enumerate("ab"))
    told = [f"data.root={words}", f"checkpoint={models}", f"plot={tmp_path / 'p' / 'all.png'}", "json=true"]
    evaluation.main(told)
    said = capsys.readouterr().out
    assert "beaten by none in size, latency and word accuracy together" in said
    found = json.loads(said.splitlines()[-1])["models"]
    assert all(one["ms_per_image"] > 0 for one in found.values())
    assert (tmp_path / "p" / "all.png").read_bytes().startswith(b"\x89PNG")


def test_only_a_png_is_drawn(words, tmp_path):
    with pytest.raises(BadSettings, match=r"plot=all.pdf: .*\.png"):
        evaluation.main([f"data.root={words}", f"checkpoint={tmp_path}", "plot=all.pdf"])
