"""The reader as a library: pictures given in any way, alone or in a batch, from a checkpoint or a file."""

import doctest
import io
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shards.errors import BadData, BadSettings
from shards.image import ImageSpec
from shards.lookup import find, members
from shards.read import Shards
from train import decoders, exported, inputs, modelfolder, reader, writing
from train.models import crnn, yolo
from train.predict import Reader
from train.tasks import boxes, recognise

SPECS = {
    "one width": ImageSpec(),
    "widths": ImageSpec(width=128, fit="keep", buckets=[32, 64, 128]),
    "letterbox": ImageSpec(fit="letterbox", channels="rgb", polarity="dark_on_light"),
}
FORMATS = [name for name in members(exported.SEAM) if not find(exported.SEAM, name).absent(ImageSpec())]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """{name of a spec: a model folder whose random weights read something in every picture}."""
    folder = tmp_path_factory.mktemp("models")
    for name, spec in SPECS.items():
        torch.manual_seed(4)
        task = recognise.Task(recognise.Settings(), spec)
        chosen = crnn.Settings(channels=[4, 4, 4, 4, 4, 4, 8], map_to_seq=8, rnn_hidden=8)
        made = crnn.Model(chosen, spec, task.channels)
        with torch.no_grad():
            made.dense.weight.mul_(30)
        modelfolder.save(folder / name, made, task, model_name="crnn", task_name="recognise", extra={})
    return folder


@pytest.fixture(scope="module")
def pictures(words):
    """The 32 test words, encoded."""
    shards = Shards([words], "test")
    return [shards.image(i) for i in range(32)]


def png(picture):
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def alike(mine, others):
    """Whether two lists of readings are the same but for the rounding of sums of other batches."""
    assert [(r.image, r.text, r.error) for r in mine] == [(r.image, r.text, r.error) for r in others]
    assert [r.score for r in mine] == pytest.approx([r.score for r in others], rel=1e-3, abs=1e-5)
    return True


def test_a_picture_is_a_path_or_bytes_or_pixels(models, pictures, tmp_path):
    grey = Image.open(io.BytesIO(pictures[3])).convert("L")
    colour = Image.merge("RGB", [grey, grey.point(lambda v: v // 2), grey])
    for picture in (grey, colour):
        data = png(picture)
        (tmp_path / "a.png").write_bytes(data)
        ways = [str(tmp_path / "a.png"), tmp_path / "a.png", data, picture, np.asarray(picture)]
        ways += [np.asarray(picture)[::-1][::-1]]  # not contiguous
        found = Reader(models / "letterbox", raw=True).read(ways)
        assert [row.image for row in found] == [str(tmp_path / "a.png")] * 2 + ["2", "3", "4", "5"]
        assert len({(row.text, row.score, row.raw, row.spans) for row in found}) == 1
        assert found[0].text
        assert Reader(models / "letterbox").read(ways, names=list("abcdef"))[4].image == "e"


def test_pil_pictures_are_read_as_their_files_are(models):
    picture = Image.effect_noise((60, 30), 90).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize((60, 30)))
    other = Image.effect_noise((60, 30), 90).convert("RGB")
    turned = Image.Exif()
    turned[0x0112] = 6
    file = io.BytesIO()
    other.save(file, "PNG", exif=turned)
    given = [png(picture), picture, file.getvalue(), Image.open(io.BytesIO(file.getvalue()))]
    one, same, two, alike_ = Reader(models / "letterbox", raw=True).read(given, names=["a", "a", "b", "b"])
    assert (one, two) == (same, alike_)
    assert picture.mode == "RGBA"  # theirs is not touched


def test_what_is_no_picture_is_an_error_in_its_place(models, pictures, tmp_path):
    cut = Image.open(io.BytesIO(png(Image.effect_noise((90, 90), 90))[:500]))
    given = [
        pictures[0], b"", b"no picture", tmp_path / "gone.png", tmp_path, np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 4), np.uint8), np.zeros((0, 4), np.uint8), np.zeros(4, np.uint8), 7, cut, "a\0b",
        BadData("it was damaged"), pictures[1],
    ]  # fmt: skip
    found = Reader(models / "one width").read(given)
    assert [bool(row.error) for row in found] == [False] + [True] * 12 + [False]
    said = [row.error for row in found]
    assert "uint8 [h,w]" in said[5]
    assert "int is no picture" in said[9]
    assert said[12] == "it was damaged"
    assert Reader(models / "one width").read([]) == []


@pytest.mark.parametrize("single", ["one.jpg", Path("one.jpg"), b"bytes"])
def test_one_picture_that_is_no_list_is_refused(models, single):
    with pytest.raises(TypeError, match=r"a list of pictures: read\(\[picture\]\)"):
        Reader(models / "one width").read(single)


def test_an_address_is_never_fetched_and_a_pipe_not_waited_for(models, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs.storage, "place", Path)
    os.mkfifo(tmp_path / "pipe.png")
    given = ["http://127.0.0.1/a.png", "s3://bucket/a.png", Path("memory://a.png"), tmp_path / "pipe.png"]
    said = [row.error for row in Reader(models / "one width").read(given)]
    assert [error.partition("; ")[0] for error in said[:2]] == [f"{name}: an address" for name in given[:2]]
    assert "No such file" in said[2]
    assert "neither a file" in said[3]


def test_pixels_have_the_limit_that_files_have(models):
    large = np.broadcast_to(np.uint8(255), (8192, 8193))
    file = io.BytesIO()
    Image.fromarray(large).save(file, "PNG")
    given = [file.getvalue(), large, Image.fromarray(large), Image.new("L", (0, 4))]
    *said, empty = [row.error for row in Reader(models / "one width").read(given)]
    assert said == [f"too_large: 8193x8192, at most {64 << 20} pixels are decoded"] * 3
    assert empty == "empty: 0x4 pixels"


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("more", [{}, {"raw": True, "topk": 3}])
def test_a_batch_reads_as_each_alone(models, pictures, name, more):
    chosen = Reader(models / name, **more)
    together = chosen.read(pictures)
    alone = [chosen.read([data], [str(i)])[0] for i, data in enumerate(pictures)]
    assert alike(together, alone)
    assert len({row.text for row in together}) > 5
    if more:
        assert [(row.raw, row.spans) for row in together] == [(row.raw, row.spans) for row in alone]


def test_a_model_that_knows_one_text_tells_several_by_the_beam(pictures):
    named = [Reader(topk=3, decoder=decoders.stored(name)).read(pictures) for name in ("beam", "certified")]
    assert Reader(topk=3).read(pictures) == named[0]
    assert any(row.certified for row in named[1])


def test_a_model_whose_own_decoder_knows_several_texts_is_asked_for_them(models, pictures, tmp_path):
    loaded = modelfolder.load(models / "one width")
    told = {"model_name": "crnn", "task_name": "recognise", "extra": {"decoder": {"name": "certified"}}}
    modelfolder.save(tmp_path / "m", loaded.model, loaded.task, **told)
    plain, several = Reader(tmp_path / "m").read(pictures), Reader(tmp_path / "m", topk=2).read(pictures)
    assert [row.text for row in several] == [row.text for row in plain]
    assert [row.certified for row in several] == [row.certified for row in plain]
    assert all(len(row.alternatives) == 2 for row in several)


def test_a_loaded_model_keeps_its_decoder_and_goes_where_it_is_asked_to(models, monkeypatch):
    loaded, places = modelfolder.load(models / "one width"), []
    with pytest.raises(BadSettings, match="decoder=beam: a loaded model has its own"):
        Reader(loaded, decoder=decoders.stored("beam"))
    with pytest.raises(BadSettings, match="topk=2: this decoder knows one text alone"):
        Reader(loaded, topk=2)
    monkeypatch.setattr(type(loaded.model), "to", lambda model, place: places.append(place))
    Reader(loaded, "cuda:0")
    assert places == ["cuda:0"]


def test_many_pictures_are_read_in_parts(models, pictures, monkeypatch):
    chosen = Reader(models / "one width")
    wanted = chosen.read(pictures[:7])
    sizes, answers = [], chosen.answers
    monkeypatch.setattr(reader, "AT_ONCE", 3)
    monkeypatch.setattr(chosen, "answers", lambda part: sizes.append(len(part)) or answers(part))
    assert alike(chosen.read(pictures[:7]), wanted)
    assert sizes == [3, 3, 1]


@pytest.mark.parametrize("mean", [0.5, 0.449])
def test_canvases_are_normalised_as_they_are_for_training(models, mean):
    grey = np.arange(256, dtype=np.uint8).repeat(32).reshape(256, 32).T  # every value, [32,256]
    spec = ImageSpec(width=256, mean=mean, std=0.226)
    loaded, seen = modelfolder.load(models / "one width"), []
    loaded.task.image = spec
    chosen = Reader(loaded)
    loaded.model.register_forward_pre_hook(lambda model, given: seen.append(given[0]))
    chosen.answers([grey])
    canvas = torch.from_numpy(spec.canvas(Image.fromarray(grey)).copy())
    wanted = (canvas[None].float() / 255 - spec.mean) / spec.std
    assert torch.equal(seen[0], wanted)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", ["one width", "widths"])
def test_a_file_of_any_format_tells_what_the_checkpoint_tells(models, pictures, name, form, tmp_path):
    path = tmp_path / f"model{find(exported.SEAM, form).SUFFIXES[0]}"
    writing.write(modelfolder.load(models / name), form, path)
    mine, its = (Reader(place, raw=True, topk=2).read(pictures) for place in (models / name, path))
    assert alike(mine, its)
    assert [(row.raw, row.spans) for row in mine] == [(row.raw, row.spans) for row in its]
    texts = [[[one.text for one in row.alternatives] for row in rows] for rows in (mine, its)]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("name", SPECS)
def test_spans_lie_in_the_picture_one_for_each_character(models, pictures, name):
    for data, row in zip(pictures, Reader(models / name, raw=True).read(pictures), strict=True):
        width = Image.open(io.BytesIO(data)).width
        ends = [x for span in row.spans for x in span]
        assert len(row.spans) == len(row.text)
        assert ends == sorted(ends)
        assert all(0 <= x <= width for x in ends)
        assert row.alternatives == ()


def test_a_detector_tells_neither_frames_nor_texts(tmp_path):
    torch.manual_seed(3)
    task = boxes.Task(boxes.Settings(threshold=0.0, floor=0.0, most=4), ImageSpec(64, 96, "rgb", "letterbox"))
    made = yolo.Model(yolo.Settings("p"), task.image, task.channels)
    modelfolder.save(tmp_path / "m", made, task, model_name="yolo", task_name="boxes", extra={})
    for more in ({"raw": True}, {"topk": 2}):
        with pytest.raises(BadSettings, match="this model finds places; recogniser=words reads"):
            Reader(tmp_path / "m", **more)
    photo = np.asarray(Image.effect_noise((200, 100), 90).convert("RGB"))
    ((*words,),) = reader.together(Reader(tmp_path / "m"), Reader(raw=True), [photo])
    assert words
    assert all(len(word.detail.spans) == len(word.text) for word in words)


def test_the_example_of_the_library_runs(pictures, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "crop.png").write_bytes(pictures[0])
    (example,) = doctest.DocTestFinder(recurse=False).find(reader, "reader")
    example.globs = {}
    assert len(example.examples) == 3
    ran = doctest.DocTestRunner().run(example, clear_globs=False)
    assert ran.failed == 0
    (word,) = example.globs["words"]
    assert (word.image, word.error) == ("crop.png", "")
    assert word.text
