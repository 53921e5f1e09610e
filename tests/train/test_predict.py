"""Prediction: a row per image whatever the image is, in every format, with nothing but the model folder."""

import io
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ingest import shard
from shards.errors import BadData, BadSettings
from shards.read import Shards
from tests.train.asked import files, model_folder, rows
from train import evaluation, modelfolder, predict, reader
from train.judging import judge, still_loader


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return model_folder(tmp_path_factory.mktemp("model") / "m")


@pytest.fixture(scope="module")
def pictures(words, tmp_path_factory):
    return files(words, tmp_path_factory.mktemp("pictures"))


def test_it_reads_what_evaluation_reads_from_files_and_from_shards(words, model, pictures, tmp_path):
    shards, loaded = Shards([words], "test"), modelfolder.load(model)
    meter = judge(loaded.model, loaded.task, still_loader(shards, loaded.task, 10, threads=1))
    wanted = [text for _, _, text, _ in meter.detail()]
    assert len(set(wanted)) > 5
    found = rows(tmp_path / "a.json", model, pictures, "batch=7")
    assert [row["text"] for row in found] == wanted
    assert [Path(row["image"]).stem for row in found] == [f"{i:02d}" for i in range(32)]
    assert [r["text"] for r in rows(tmp_path / "b.json", model, words / "test", "limit=9")] == wanted[:9]


@pytest.mark.parametrize("suffix", ["csv", "json", "jsonl"])
def test_every_format_holds_the_same_rows(model, pictures, tmp_path, suffix):
    given = [model, *sorted(pictures.glob("0*"))[:3]]
    wanted = rows(tmp_path / "wanted.json", *given)
    found = rows(tmp_path / "deep" / f"out.{suffix}", *given)
    characters = [] if suffix == "csv" else ["characters", "certified", "polygon", "found"]
    assert [list(row) for row in found] == [["image", "text", "score", "error", *characters]] * 3
    assert all(len(row["characters"]) == len(row["text"]) for row in found if characters)
    assert [(r["image"], r["text"], float(r["score"])) for r in found] == [
        (r["image"], r["text"], r["score"]) for r in wanted
    ]


def test_without_out_it_prints_a_table_and_as_json_on_the_last_line(model, pictures, capsys):
    picture = sorted(pictures.glob("0*"))[0]
    predict.main([str(model), str(picture), "json=true"])
    lines = capsys.readouterr().out.splitlines()
    (reading,) = json.loads(lines[-1])["readings"]
    assert reading["image"] == str(picture)
    assert any("image" in line and "score" in line for line in lines)


def test_what_cannot_be_read_is_a_row_with_an_error_and_its_neighbours_are_read(
    model, pictures, tmp_path, capsys
):
    good = sorted(pictures.glob("0*"))[0]
    (tmp_path / "in").mkdir()
    for name, data in (("0.png", good.read_bytes()[:200]), ("1.jpg", b""), ("2.png", good.read_bytes())):
        (tmp_path / "in" / name).write_bytes(data)
    (tmp_path / "in" / "3.png").symlink_to(tmp_path / "gone.png")
    found = rows(tmp_path / "o.json", model, tmp_path / "in", pictures / "note.txt")
    predict.main([str(model), str(tmp_path / "in"), str(pictures / "note.txt"), "json=true"])
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["errors"] == 4
    assert [bool(row["error"]) for row in found] == [True, True, False, True, True]
    assert found[2]["text"] == rows(tmp_path / "p.json", model, good)[0]["text"]
    assert found[0]["text"] == ""


def test_a_damaged_sample_of_a_shard_is_a_row_with_an_error(words, model, tmp_path):
    import shutil

    shutil.copytree(words / "test", tmp_path / "w" / "test")
    tar = tmp_path / "w" / "test" / "000000.tar"
    data = bytearray(tar.read_bytes())
    data[Shards([words], "test")._open[0].columns[3].image_offset + 30] ^= 255
    tar.write_bytes(data)
    found = rows(tmp_path / "o.json", model, tmp_path / "w" / "test")
    assert [i for i, row in enumerate(found) if row["error"]] == [3]
    assert "damaged" in found[3]["error"]


@pytest.mark.parametrize(
    ("given", "kind", "named"),
    [
        ([], BadSettings, "at least one image is needed"),
        (["{model}"], BadSettings, "at least one image is needed"),
        (["/no/model", "{picture}"], BadData, "/no/model"),
        (["l" * 304, "{picture}"], BadData, "ll: File name too long"),
        (["{model}", "{picture}", "/no/picture.png"], BadData, "/no/picture.png"),
        (["{model}", "{empty}"], BadData, "no image"),
        (["{model}", "{picture}", "out=words.xml"], BadSettings, ".csv, .json, .jsonl"),
        (["{model}", "{picture}", "batches=3"], BadSettings, "did you mean 'batch'"),
    ],
)
def test_what_is_not_there_is_named(model, pictures, tmp_path, given, kind, named):
    (tmp_path / "empty").mkdir()
    places = {"model": model, "picture": sorted(pictures.glob("0*"))[0], "empty": tmp_path / "empty"}
    with pytest.raises(kind, match=named):
        predict.main([text.format(**places) for text in given])


@pytest.mark.parametrize("more", ["a.png", "drawn=d", "topk=2", "limit=3", "boxes=b.json", "raw=true"])
def test_a_search_reads_no_image(more):
    name = more.partition("=")[0] if "=" in more else "inputs"
    with pytest.raises(BadSettings, match=f"search= reads no image: leave {name}= out"):
        predict.main([more, "search=cafe", "index=i.db", "out=json"])


def test_what_search_finds_is_written_too(model, pictures, tmp_path, capsys):
    predict.main([str(model), str(pictures), f"index={tmp_path / 'i.db'}", f"out={tmp_path / 'o.json'}"])
    word = next(row["text"] for row in json.loads((tmp_path / "o.json").read_text()) if row["text"])
    capsys.readouterr()
    predict.main([f"index={tmp_path / 'i.db'}", f"search={word}", "out=jsonl"])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert found[0]["text"] == word


def test_an_image_or_a_list_of_paths_comes_on_standard_input(model, pictures, tmp_path, monkeypatch):
    some = sorted(pictures.glob("0*"))[:2]
    wanted = [row["text"] for row in rows(tmp_path / "o.json", model, *some)]
    for data, names in (
        (some[0].read_bytes(), ["-"]),
        (
            "\n".join(map(str, [*some, tmp_path / "gone.png"])).encode(),
            [*map(str, some), f"{tmp_path}/gone.png"],
        ),
    ):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(data)))
        found = rows(tmp_path / "o.json", model, "-")
        assert [row["image"] for row in found] == names
        assert [row["text"] for row in found if not row["error"]] == wanted[: len(names)]
    assert "No such file" in found[-1]["error"]


def test_a_run_folder_in_place_of_a_model_is_answered_with_its_best(model, pictures, tmp_path):
    shutil.copytree(model, tmp_path / "first" / "best")
    with pytest.raises(BadData, match=f"not a model folder; try {tmp_path / 'first' / 'best'}"):
        predict.main([str(tmp_path / "first"), str(pictures)])


def test_a_decoder_is_chosen_for_the_reading(model, pictures, tmp_path):
    (tmp_path / "words.txt").write_text("house\ntree\nriver")
    given = [model, *sorted(pictures.glob("0*"))]
    greedy = rows(tmp_path / "greedy.json", *given)
    assert rows(tmp_path / "same.json", *given, "decoder=greedy") == greedy
    found = rows(
        tmp_path / "found.json", *given, "decoder=lexicon", f"decoder.words={tmp_path / 'words.txt'}"
    )
    assert {row["text"] for row in found} <= {"house", "tree", "river"}
    assert rows(tmp_path / "short.json", *given, f"lexicon={tmp_path / 'words.txt'}") == found
    assert all(0 <= row["score"] <= 1 for row in found)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["decoder=bean"], "did you mean 'beam'"),
        (["decoder.width=3"], "decoder= is required first"),
        (["decoder=beam", "decoder.width=0"], "decoder.width: 0"),
        (["decoder=lexicon"], "decoder.words= is required"),
        (["decoder=beam", "lexicon=words.txt"], "leave it or decoder=beam out"),
        (["decoder=greedy", "topk=2"], "topk=2: this decoder knows one text alone; decoder=beam"),
        (["topk=-1"], "topk: -1"),
        (["-", "-"], "- is given twice"),
        (["out=jsonl", "json=true"], "both print the rows"),
    ],
)
def test_a_decoder_that_cannot_be_is_refused(model, pictures, given, said):
    with pytest.raises(BadSettings, match=said):
        predict.main([str(model), str(pictures), *given])


@pytest.mark.parametrize("bad", ["batch=0", "limit=-1"])
def test_numbers_out_of_range_are_refused(model, pictures, bad):
    with pytest.raises(BadSettings, match=bad.split("=")[0]):
        predict.main([str(model), str(pictures), bad])


def test_an_ordinary_picture_is_decoded_once(model, pictures, monkeypatch):
    monkeypatch.setattr(reader, "published", lambda data: pytest.fail("decoded twice"))
    read = predict.Reader(model).read([path.read_bytes() for path in sorted(pictures.glob("00.*"))])
    assert not read[0].error


def test_without_a_model_the_packaged_recogniser_reads(words, pictures, tmp_path):
    packaged = modelfolder.load(predict.PRETRAINED)
    assert sum(p.numel() for p in packaged.model.parameters()) == 922_629
    assert sum(f.stat().st_size for f in predict.PRETRAINED.iterdir()) < 4_000_000
    mine = rows(tmp_path / "mine.json", predict.PRETRAINED, pictures)
    assert rows(tmp_path / "packaged.json", pictures) == mine
    shards = Shards([words], "test")
    right = [shards.record(i).words[0].text.lower() == row["text"] for i, row in enumerate(mine)]
    assert sum(right) >= 16  # rendered words that it never saw, in fonts that it never saw


@pytest.mark.real
def test_the_packaged_recogniser_reads_real_words_as_its_card_says(real, tmp_path, capsys):
    card = json.loads((predict.PRETRAINED / "config.json").read_text())["real"]
    listed = ["labels=test_gt.txt", "format=icdar"]
    sources = {
        "iiit5k": ["source=folder", f"root={real / 'iiit5k' / 'IIIT5K'}", "images=test", *listed],
        "svt": ["source=folder", f"root={real / 'svt'}", "images=test_words", *listed],
        "icdar2015": ["source=icdar2015", f"root={real / 'icdar2015_words'}"],
    }
    for name, source in sources.items():
        shard.main([*source, "split=test", f"out={tmp_path / name}", "workers=1"])
        out = tmp_path / f"{name}.json"
        evaluation.main([f"checkpoint={predict.PRETRAINED}", f"data.root={tmp_path / name}", f"out={out}"])
        (found,) = json.loads(out.read_text())["models"].values()
        assert abs(round(found["word_acc_ics"]["value"] * found["n"]) - card[name]["right"]) <= 1
        assert found["n"] == card[name]["n"]


def test_a_first_path_that_is_neither_image_nor_model_is_no_image_to_be_read_past(words, tmp_path):
    (tmp_path / "edge.zip").write_bytes(b"PK")
    with pytest.raises(BadSettings, match=r"edge\.zip: no image, and no model: .*\.onnx"):
        predict.main([str(tmp_path / "edge.zip"), str(words / "test")])
