"""Contract 4: model folders survive round trips and crashes, and refuse whatever is not theirs."""

import hashlib
import json
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import safetensors.torch
import torch

from shards.errors import BadData
from shards.image import ImageSpec
from train import sealed
from train.foreign import import_crnn_pytorch
from train.modelfolder import FILES, amend, load, save, weights_digest
from train.models import crnn
from train.tasks import recognise

EXTRA = {"decoder": "greedy", "metrics": {"word_acc": 0.5}, "data": {"train": "abc"}, "code": "0.1.0"}
TINY = crnn.Settings(channels=[4, 4, 8, 8, 8, 8, 8], map_to_seq=8, rnn_hidden=8)


def built(seed=0, settings=TINY):
    torch.manual_seed(seed)
    task = recognise.Task(recognise.Settings("36"), ImageSpec())
    return crnn.Model(settings, task.image, task.channels), task


def saved(folder, seed=0, extra=EXTRA):
    model, task = built(seed)
    save(folder, model, task, model_name="crnn", task_name="recognise", extra=extra)
    return model


def same(a, b):
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def reseal(folder):
    """Makes the checksums fit again, as somebody who edits a folder on purpose would."""
    lines = [f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES]
    (folder / "sha256sums").write_text("".join(lines))


def test_a_model_comes_back_bit_equal_from_its_path_alone(tmp_path):
    model = saved(tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert same(model, loaded.model)
    assert not loaded.model.training
    images = torch.randn(2, 1, 32, 100)
    assert torch.equal(model.eval()(images).logits, loaded.model(images).logits)
    assert loaded.task.charset.characters == "0123456789abcdefghijklmnopqrstuvwxyz"
    assert loaded.config["metrics"] == {"word_acc": 0.5}
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == sorted([*FILES, "sha256sums"])


def test_the_same_model_gives_the_same_bytes_wherever_it_is_saved(tmp_path):
    saved(tmp_path / "a")
    saved(tmp_path / "elsewhere" / "b", extra=dict(reversed(EXTRA.items())))
    model, task = built()
    model = model.to(memory_format=torch.channels_last)
    save(tmp_path / "c", model, task, model_name="crnn", task_name="recognise", extra=EXTRA)
    for name in (*FILES, "sha256sums"):
        data = (tmp_path / "a" / name).read_bytes()
        for other in (tmp_path / "elsewhere" / "b", tmp_path / "c"):
            assert data == (other / name).read_bytes()
        assert str(tmp_path).encode() not in data


def test_the_digest_is_of_the_weights_alone(tmp_path):
    saved(tmp_path / "a")
    saved(tmp_path / "b", extra={})
    saved(tmp_path / "c", seed=1)
    assert weights_digest(tmp_path / "a") == weights_digest(tmp_path / "b") != weights_digest(tmp_path / "c")


def test_the_card_says_what_the_model_sees_and_scores(tmp_path):
    saved(tmp_path / "m")
    card = (tmp_path / "m" / "README.md").read_text()
    for part in ("# crnn: reading", "grey 32x100", "accuracy, % | 50.00 |", "greedy", '"rnn_hidden": 8'):
        assert part in card


@pytest.mark.parametrize("extra", [{"format": 2}, {"metrics": {"word_acc": float("nan")}}])
def test_extra_cannot_replace_own_fields_or_hold_what_json_cannot(tmp_path, extra):
    with pytest.raises(ValueError, match=r"format|JSON"):
        saved(tmp_path / "m", extra=extra)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", [*FILES, "sha256sums"])
def test_every_changed_or_missing_file_is_refused_by_name(tmp_path, name):
    folder = tmp_path / "m"
    saved(folder)
    data = bytearray((folder / name).read_bytes())
    for place in (0, len(data) // 2, len(data) - 2):
        flipped = bytearray(data)
        flipped[place] ^= 1
        (folder / name).write_bytes(flipped)
        with pytest.raises(BadData):
            load(folder)
    (folder / name).write_bytes(data[:-3])
    with pytest.raises(BadData):
        load(folder)
    (folder / name).unlink()
    with pytest.raises(BadData, match=name):
        load(folder)


def test_a_folder_that_is_not_there_is_bad_data(tmp_path):
    with pytest.raises(BadData, match="no such folder"):
        load(tmp_path / "m")


class Trap:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_a_pickle_in_the_place_of_the_weights_is_never_run(tmp_path):
    saved(tmp_path / "m")
    (tmp_path / "m" / "model.safetensors").write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    reseal(tmp_path / "m")
    with pytest.raises(BadData, match="not a safetensors file"):
        load(tmp_path / "m")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format=9), "format 9, this version reads 1"),
        (lambda c: c.pop("image"), "config.json: no 'image'"),
        (lambda c: c["model"].update(name="crnm"), "no 'crnm'; did you mean 'crnn'"),
        (lambda c: c["model"]["settings"].update(depth=3), "depth"),
        (lambda c: c["model"]["settings"].update(channels="wide"), "config.json"),
        (lambda c: c["task"]["settings"].update(characters="aa"), "given twice"),
        (lambda c: c["image"].update(height=31), "image.height"),
        (lambda c: c["image"].update(width=0), "impossible size"),
        (lambda c: c["model"]["settings"].update(rnn_hidden=9), "rnn1.weight_hh_l0 is float32.32, 8."),
        (lambda c: c.update(task=[]), "config.json"),
        (lambda c: c.update(decoder={"name": "beam", "ngram": "/own"}), "decoder=beam decoder.ngram=/own"),
    ],
)
def test_a_config_that_does_not_fit_is_refused_with_the_reason(tmp_path, change, message):
    saved(tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    change(config)
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    reseal(tmp_path / "m")
    with pytest.raises(BadData, match=message):
        load(tmp_path / "m")


def test_missing_unknown_and_retyped_tensors_are_listed(tmp_path):
    model = saved(tmp_path / "m")
    tensors = {k: v.contiguous() for k, v in model.state_dict().items() if k != "dense.bias"}
    tensors |= {"surplus": torch.zeros(1), "dense.weight": tensors["dense.weight"].half()}
    safetensors.torch.save_file(tensors, tmp_path / "m" / "model.safetensors")
    reseal(tmp_path / "m")
    with pytest.raises(BadData, match=r"missing dense.bias; unknown surplus; dense.weight is float16"):
        load(tmp_path / "m")


def test_a_save_that_crashed_between_its_renames_is_read_and_healed(tmp_path):
    model = saved(tmp_path / "m")
    (tmp_path / "m").rename(tmp_path / "m.old")
    assert same(load(tmp_path / "m").model, model)
    assert [p.name for p in tmp_path.iterdir()] == ["m.old"]  # reading repairs nothing
    sealed.heal(tmp_path / "m")
    assert [p.name for p in tmp_path.iterdir()] == ["m"]
    assert same(load(tmp_path / "m").model, model)


def test_a_checkout_of_a_model_stays_one_when_it_is_amended(tmp_path):
    model = saved(tmp_path / "m")
    (tmp_path / "m" / ".git").mkdir()
    (tmp_path / "m" / ".git" / "HEAD").write_text("ref: refs/heads/main")
    (tmp_path / "link").symlink_to("m")
    amend(tmp_path / "link", lambda _: {"code": "0.2.0"})
    assert (tmp_path / "m" / ".git" / "HEAD").read_text() == "ref: refs/heads/main"
    assert (tmp_path / "link").is_symlink()
    assert load(tmp_path / "m").config["code"] == "0.2.0"
    assert same(load(tmp_path / "m").model, model)


def test_amendments_at_one_time_are_all_kept(tmp_path):
    saved(tmp_path / "m", extra={"evaluated": {}})

    def add(number):
        amend(tmp_path / "m", lambda told: {"seen": [*told.get("seen", []), number]})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(add, range(8)))
    assert sorted(load(tmp_path / "m").config["seen"]) == list(range(8))


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.module."])
def test_foreign_weights_are_imported_with_any_wrapper_prefix(tmp_path, prefix):
    model, _ = built()
    torch.save({prefix + name: value for name, value in model.state_dict().items()}, tmp_path / "w.pt")
    import_crnn_pytorch(tmp_path / "w.pt", tmp_path / "m")
    loaded = load(tmp_path / "m")
    assert same(loaded.model, model)
    assert loaded.model.settings == TINY
    assert loaded.config["decoder"] == {"name": "greedy"}


FOREIGN = {
    "code": (lambda state, path: state | {"x": Trap(path)}, "not a file of tensors alone"),
    "text": (lambda state, path: b"hello", "not a file of tensors alone"),
    "list": (lambda state, path: [1, 2], "holds list"),
    "more": (lambda state, path: state | {"epoch": 3}, "'epoch' .int."),
    "other": (lambda state, path: {"fc.weight": torch.zeros(2)}, "holds fc.weight"),
    "short": (lambda state, path: dict(list(state.items())[:-1]), "missing dense.bias"),
    "long": (lambda state, path: state | {"stn": torch.zeros(1)}, "unknown stn"),
    "classes": (lambda state, path: state | {"dense.bias": torch.zeros(9)}, r"dense.bias is float32\[9\]"),
    "flat": (lambda state, path: state | {"cnn.conv3.weight": torch.tensor(1.0)}, "no crnn_pytorch weights"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_what_is_not_this_model_is_refused_and_named(tmp_path, case):
    make, message = FOREIGN[case]
    made = make(built()[0].state_dict(), tmp_path / "sprung")
    if isinstance(made, bytes):
        (tmp_path / "w.pt").write_bytes(made)
    else:
        torch.save(made, tmp_path / "w.pt")
    with pytest.raises(BadData, match=message):
        import_crnn_pytorch(tmp_path / "w.pt", tmp_path / "m")
    assert not (tmp_path / "m").exists()
    assert not (tmp_path / "sprung").exists()


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(BadData, match=r"w\.pt: No such file"):
        import_crnn_pytorch(tmp_path / "w.pt", tmp_path / "m")
