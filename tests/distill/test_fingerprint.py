"""One mutation per field: whatever differs is refused, by name and with both values."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from distill import fingerprint, record, student
from distill.cache import Cache
from ingest import shard
from shards import manifest, written
from shards.config import plain
from shards.errors import BadData, BadSettings
from train import modelfolder


def leaves(tree, path=()):
    if isinstance(tree, dict) and tree:
        return [leaf for key, value in tree.items() for leaf in leaves(value, (*path, key))]
    return [path]


def mutated(value):
    return {
        bool: lambda v: not v,
        int: lambda v: v + 1,
        float: lambda v: v + 0.5,
        str: lambda v: v + "x",
    }.get(type(value), lambda v: ["x"])(value)


def at(tree, path):
    for key in path:
        tree = tree[key]
    return tree


def sealed(raw):
    """A card's content with the digest that belongs to it."""
    values = {name: value for name, value in raw.items() if name not in ("digest", "provenance")}
    return {**raw, "digest": written.digest(values)}


@pytest.mark.parametrize("which", ["cache", "rich"])
def test_every_field_of_the_card_is_compared_but_provenance(which, request, tmp_path):
    cache = request.getfixturevalue(which)
    card = fingerprint.load(cache / "card.json")
    raw = json.loads((cache / "card.json").read_text())
    fields = [path for path in leaves(raw) if path[0] not in ("provenance", "format", "digest")]
    assert len(fields) > 40
    for path in fields:
        other = json.loads(json.dumps(raw))
        old = at(other, path)
        at(other, path[:-1])[path[-1]] = mutated(old)
        (tmp_path / "card.json").write_text(json.dumps(sealed(other)))
        if path in [("image", name) for name in ("fit", "channels", "resample", "polarity", "buckets")]:
            continue  # not a spec at all: refused when the card is read
        changed = fingerprint.load(tmp_path / "card.json")
        assert changed.digest != card.digest
        with pytest.raises(BadData) as refused:
            fingerprint.check("c", card, fingerprint.compared(changed))
        message = str(refused.value)
        assert ".".join(path) in message
        assert f"{old!r} in the cache" in message
        assert f"{plain(mutated(old))!r} here" in message
    fingerprint.check("c", card, fingerprint.compared(replace(card, provenance={"torch": "0"})))
    bucketed = replace(card, image=replace(card.image, fit="keep", buckets=[card.image.width]))
    with pytest.raises(BadData, match=r"image\.(fit|buckets)"):
        fingerprint.check(
            "c", replace(card, image=replace(card.image, fit="keep")), fingerprint.compared(bucketed)
        )


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("views=1", r"views is 2 in the cache, 1 here"),
        ("batch=8", r"batch is 16 in the cache, 8 here"),
        ("augment.blur=3", r"augment.blur is 1.0 in the cache, 3.0 here"),
        ("codec=topk", r"codec.k is 0 in the cache, 8 here"),
        ("precision=bf16", r"teacher.precision is 'fp32' in the cache, 'bf16' here"),
        ("data.split=val", r"data\.[\w.-]+ is .* in the cache, .* here"),
    ],
)
def test_a_cache_begun_otherwise_is_not_gone_on_with(words, teacher, cache, recipe, files, change, named):
    before = files(cache)
    with pytest.raises(BadData, match=named):
        record.main(recipe(teacher, words, cache, "codec=dense", "taps=[rnn2]", change))
    assert files(cache) == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (["image.mean=.4"], r"image.mean is 0.5 in the cache, 0.4 here"),
        (["image.width=128"], r"image.width is 100 in the cache, 128 here"),
        (["augment.blur=3"], r"augment.blur is 1.0 in the cache, 3.0 here"),
        (["augment=none"], r"augment.blur is 1.0 in the cache, 0.0 here"),
        (["data.views=3"], r"views is 2 in the cache, data.views=3 here"),
        (["data.views=0"], r"views is 2 in the cache, data.views=0 here"),
    ],
)
def test_a_student_about_to_see_something_else_is_refused(words, cache, tmp_path, tiny, changes, named):
    with pytest.raises((BadData, BadSettings), match=named):
        student.main(
            [f"cache={cache}", f"data.root={words}", "run.name=s", f"run.root={tmp_path}", *tiny, *changes]
        )
    assert not any(tmp_path.iterdir())


def test_a_cache_of_another_teacher_is_refused(words, cache, tmp_path, tiny, make_teacher):
    other = make_teacher(tmp_path / "other", seed=1)
    weights = modelfolder.weights_digest(other)
    with pytest.raises(BadData, match=rf"teacher.weights is '\w+' in the cache, '{weights}' here"):
        student.main(
            [
                f"cache={cache}",
                f"teacher={other}",
                f"data.root={words}",
                "run.name=s",
                f"run.root={tmp_path}",
                *tiny,
            ]
        )


def test_another_data_set_is_refused(cache, tmp_path, tiny):
    for split in ("train", "val"):
        shard.main(["source=rendered", f"out={tmp_path / 'd'}", f"split={split}", "count=24", "name=other"])
    with pytest.raises(
        BadData, match=r"data is rendered-train-\w+, rendered-val-\w+ in the cache, other-train-\w+ here"
    ):
        student.main(
            [f"cache={cache}", f"data.root={tmp_path / 'd'}", "run.name=s", f"run.root={tmp_path}", *tiny]
        )


def test_changed_bytes_of_the_same_data_set_are_refused(words, cache):
    card, content = fingerprint.load(cache / "card.json"), manifest.load(Path(words) / "train")
    first = content.shards[0]
    changed = replace(
        content, shards=(replace(first, sha256={**first.sha256, "tar": "0"}), *content.shards[1:])
    )
    with pytest.raises(BadData, match=rf"digest is {content.digest} in the cache, {changed.digest} here"):
        fingerprint.check_data("c", card, [changed])
    fingerprint.check_data("c", card, [content])


def test_a_damaged_card_is_named(cache, tmp_path):
    place = shutil.copytree(cache, tmp_path / "c")
    raw = json.loads((place / "card.json").read_text())
    for content, message in (
        ("{", r"card.json: not readable as JSON"),
        (json.dumps({**raw, "format": 9}), r"format 9, this version reads 3"),
        (json.dumps(sealed({k: v for k, v in raw.items() if k != "views"})), r"not a cache's card .*views"),
        (json.dumps({**raw, "views": 1}), r"card.json: damaged, its content is not that of its digest"),
        (json.dumps(sealed({**raw, "views": 1})), r"belongs to another card"),
    ):
        (place / "card.json").write_text(content)
        with pytest.raises(BadData, match=message):
            Cache(place)
    with pytest.raises(BadData, match=r"no such file, so no cache"):
        Cache(tmp_path)


def test_any_changed_byte_of_a_card_is_told(cache, tmp_path):
    whole = (cache / "card.json").read_bytes()
    marked = whole.index(b'"provenance"')  # the last but the format and the digest
    for at in range(3, marked, len(whole) // 60):
        (tmp_path / "card.json").write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises(BadData, match=r"card.json: "):
            fingerprint.load(tmp_path / "card.json")


def test_a_card_survives_its_file(cache, tmp_path):
    card = fingerprint.load(cache / "card.json")
    fingerprint.save(tmp_path / "card.json", card)
    assert fingerprint.load(tmp_path / "card.json") == card
    assert asdict(card)["format"] == fingerprint.FORMAT


def test_grids_are_compared(cache, tmp_path):
    card = fingerprint.load(cache / "card.json")
    cells, turned = (replace(card, grids=[list(grid)]) for grid in ((8, 12), (12, 8)))
    fingerprint.save(tmp_path / "card.json", cells)
    assert fingerprint.load(tmp_path / "card.json") == cells
    assert len({card.digest, cells.digest, turned.digest}) == 3
    with pytest.raises(BadData, match=r"grids is \[\[8, 12\]\] in the cache, \[\[12, 8\]\] here"):
        fingerprint.check("c", cells, fingerprint.compared(turned))
