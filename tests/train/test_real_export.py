"""The published student as files for devices: as small as they must be, and as good on real words."""

import pytest

from ingest import shard
from train import evaluation, export, exported, modelfolder, predict
from train.foreign import import_crnn_pytorch

pytestmark = pytest.mark.real
MOST = 1_100_000  # bytes of the int8 file


@pytest.fixture(scope="module")
def student(real, tmp_path_factory):
    folder = tmp_path_factory.mktemp("student") / "model"
    import_crnn_pytorch(real / "weights" / "crnn_small_student_3.pt", folder)
    return folder


@pytest.fixture(scope="module")
def crops(real, tmp_path_factory):
    """The slices of IIIT5K."""
    out = tmp_path_factory.mktemp("iiit5k") / "shards"
    told = ["source=folder", f"root={real / 'iiit5k' / 'IIIT5K'}", "labels={split}_gt.txt", "format=icdar"]
    for split in ("train", "test"):
        shard.main([*told, "images={split}", f"split={split}", f"out={out}"])
    return out


@pytest.fixture(scope="module")
def files(student, crops, tmp_path_factory):
    """Every format and precision there is here, told by the gate; calibrated on words of train."""
    out = tmp_path_factory.mktemp("files")
    told = [f"checkpoint={student}", f"data.root={crops}", "data.split=test", f"out={out}"]
    export.main([*told, "to=onnx,openvino,torchscript", "precision=fp32,fp16,int8", "max_drop=2"])
    return out


def test_int8_is_small_and_says_what_stays_wide(files):
    path = files / "model.int8.onnx"
    assert exported.size(path) <= MOST
    assert modelfolder.load(path).config["precision"]["wide"] == ["/cnn/conv0/Conv"]


@pytest.mark.parametrize(
    "name", ["model.onnx", "model.fp16.onnx", "model.xml", "model.fp16.xml", "model.torchscript"]
)
def test_wide_files_read_what_the_checkpoint_reads(student, crops, files, name):
    settings = evaluation.Settings(protocol="36")
    shards = evaluation.Shards([str(crops)], "test")
    mine, its = (evaluation.evaluate(str(one), shards, settings) for one in (student, files / name))
    assert mine.score.right == its.score.right
    assert mine.figures["word_acc"]["value"] == 146 / 195  # as its own code reads


def test_predict_says_the_same_by_every_file(student, crops, files, capsys):
    """One row a word, from checkpoint and files alike."""
    said = []
    for model in (student, files / "model.onnx", files / "model.fp16.xml"):
        predict.main([str(model), str(crops / "test"), "out=csv", "limit=40"])
        rows = capsys.readouterr().out.splitlines()
        said.append([",".join(row.split(",")[:2]) for row in rows])
    assert len(said[0]) == 41
    assert said[0] == said[1] == said[2]
