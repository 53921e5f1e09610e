"""The contract of every source, over its tiny raw tree in tests/raw/<source>/; then their own rules."""

import contextlib
import json
import pickle
import shutil
from pathlib import Path

import fsspec
import pytest

from ingest.sources import Reject
from ingest.splits import Settings
from shards import lookup, storage
from shards.config import build, read
from shards.errors import BadData, BadSettings
from shards.sample import from_members, to_members

RAW = Path(__file__).resolve().parent.parent / "raw"
SEAM = "ingest.sources"
EXTRAS = {"lmdb_pairs": "lmdb", "iiit5k": "scipy"}  # source -> the module that its extra brings


def raw(name):
    """The raw tree of a source; another name of one shares it."""
    return RAW / lookup.find(SEAM, name).Source.__module__.rpartition(".")[2]


def contract(name, case="contract"):
    return json.loads((raw(name) / f"{case}.json").read_text())


def cases():
    return [(name, file.stem) for name in lookup.members(SEAM) for file in sorted(raw(name).glob("*.json"))]


def source_of(name, root=None, split=None, case="contract", **changes):
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name], reason=f"its extra, with {EXTRAS[name]}, is not installed")
    given = contract(name, case)
    member = lookup.find(SEAM, name)
    settings = build(member.Settings, {**given["settings"], **changes})
    return member.Source(settings, str(root or raw(name) / "root"), split or given["split"])


def answers(source, rows):
    """row -> what came: the tar members, or the reject's reason."""
    out = {}
    for row in rows:
        try:
            out[row] = to_members(source.read(row))
        except Reject as reject:
            out[row] = reject.reason
    return out


def texts(sample):
    """The text of a crop, the texts of a scene."""
    found = [word.text for word in sample.record.words]
    return found[0] if [word.polygon for word in sample.record.words] == [None] else found


def test_every_source_has_a_raw_tree():
    assert {name for name, case in cases() if case == "contract"} == set(lookup.members(SEAM))


def test_every_source_says_what_it_gives_expects_and_may_be_used_for(capsys):
    with pytest.raises(SystemExit):
        read(Settings, "shard", ["source=?"])
    said = capsys.readouterr().out
    for name in lookup.members(SEAM):
        told = lookup.about(SEAM, name)
        assert all(told.values())
        lines = [f"      {word}: {told[word]}" for word in ("gives", "expects", "licence")]
        assert "\n".join([f"  {name}  {told['']}", *lines]) in said


@pytest.mark.parametrize(("name", "case"), cases())
def test_every_source_turns_its_raw_tree_into_valid_samples(name, case):
    given, source = contract(name, case), source_of(name, case=case)
    got = answers(source, range(len(source)))
    assert {str(row): reason for row, reason in got.items() if isinstance(reason, str)} == given["rejects"]
    samples = [from_members(members) for members in got.values() if not isinstance(members, str)]
    assert samples
    assert all(sample.record.origin for sample in samples)
    if given["texts"] is not None:
        expected = [text for row, text in enumerate(given["texts"]) if str(row) not in given["rejects"]]
        assert [texts(sample) for sample in samples] == expected
        assert len(source) == len(given["texts"])


@pytest.mark.parametrize(("name", "case"), cases())
def test_every_source_is_pure_in_the_row_whatever_the_order(name, case):
    first, second = source_of(name, case=case), source_of(name, case=case)
    rows = list(range(len(first)))
    assert answers(first, rows) == answers(second, rows[::-1])
    assert first.options == second.options


@pytest.mark.parametrize(
    ("name", "case"), [pair for pair in cases() if hasattr(lookup.find(SEAM, pair[0]).Source, "group")]
)
def test_what_a_record_calls_one_group_is_one_when_splits_are_drawn(name, case):
    source, drawn = source_of(name, case=case), {}
    for row in range(len(source)):
        with contextlib.suppress(Reject):
            meta = source.read(row).record.meta
            drawn.setdefault(meta.group, set()).add(source.group(row))
    drawn.pop(None, None)
    assert all(len(names) == 1 for names in drawn.values())


@pytest.mark.parametrize(("name", "case"), cases())
def test_the_options_of_every_source_are_json_without_paths(name, case, tmp_path):
    source = source_of(name, case=case)
    assert json.loads(json.dumps(source.options)) == source.options
    if (raw(name) / "root").exists():
        shutil.copytree(raw(name) / "root", tmp_path / "elsewhere")
        assert source_of(name, tmp_path / "elsewhere", case=case).options == source.options
    assert str(RAW) not in json.dumps(source.options)
    pickle.loads(pickle.dumps(source.settings if hasattr(source, "settings") else None))


@pytest.mark.parametrize(("name", "case"), [pair for pair in cases() if (raw(pair[0]) / "root").exists()])
def test_every_source_reads_the_same_at_an_address(name, case, tmp_path, monkeypatch):
    pytest.importorskip("upath")
    monkeypatch.setenv(storage.ROOM, str(tmp_path))
    there = f"memory://raw/{name}/{case}/k=v"
    fsspec.filesystem("memory").put(str(raw(name) / "root"), there, recursive=True)
    if name == "lmdb_pairs":
        with pytest.raises(BadSettings, match=r"lmdb opens local folders alone; copy it"):
            source_of(name, there, case=case)
        return
    here, far = source_of(name, case=case), source_of(name, there, case=case)
    assert far.options == here.options
    assert answers(far, range(len(far))) == answers(here, range(len(here)))


@pytest.mark.parametrize(("name", "case"), [pair for pair in cases() if (raw(pair[0]) / "root").exists()])
def test_a_missing_or_empty_root_is_bad_data(name, case, tmp_path):
    for root in (tmp_path, tmp_path / "absent"):
        with pytest.raises(BadData, match="root="):
            source_of(name, root, case=case)


@pytest.mark.parametrize(
    ("folders", "root", "split"),
    [
        (("ch4_training_word_images_gt", "ch4_training_word_images_gt/gt.txt"), "", "train"),
        (
            ("ch4_training_word_images_gt", "ch4_training_word_images_gt/gt.txt"),
            "ch4_training_word_images_gt",
            "train",
        ),
        (("ch4_test_word_images_gt", "Challenge4_Test_Task3_GT.txt"), "", "test"),
        (("ch4_test_word_images_gt", "ch4_test_word_images_gt/Challenge4_Test_Task3_GT.txt"), "", "test"),
        (("ch4_test_word_images_gt", "Challenge4_Test_Task3_GT.txt"), "ch4_test_word_images_gt", "test"),
        (("WordRecognition/TestSet", "WordRecognition/Challenge4_Test_Task3_GT.txt"), "", "test"),
        (
            ("WordRecognition/TestSet", "WordRecognition/Challenge4_Test_Task3_GT.txt"),
            "WordRecognition",
            "test",
        ),
        (("words", "words/gt.txt"), "words", "train"),
    ],
)
def test_icdar2015_is_found_in_each_layout(tmp_path, folders, root, split):
    images, listing = folders
    theirs = RAW / "icdar2015/root/WordRecognition"
    shutil.copytree(theirs / ("TrainingSet" if split == "train" else "TestSet"), tmp_path / images)
    (tmp_path / images / "gt.txt").unlink(missing_ok=True)
    labels = theirs / ("TrainingSet/gt.txt" if split == "train" else "Challenge4_Test_Task3_GT.txt")
    shutil.copy(labels, tmp_path / listing)
    source, plain = source_of("icdar2015", tmp_path / root, split), source_of("icdar2015", split=split)
    assert source.options == plain.options
    assert answers(source, range(len(source))) == answers(plain, range(len(plain)))


def test_icdar2015_never_pairs_one_splits_images_with_the_others_labels(tmp_path):
    shutil.copytree(RAW / "icdar2015/root", tmp_path / "x")
    with pytest.raises(BadData, match="no ICDAR 2015 test words"):
        source_of("icdar2015", tmp_path / "x/WordRecognition/TrainingSet", "test")


def test_icdar2015_lists_the_levels_and_splits_it_has():
    with pytest.raises(BadSettings, match=r"level: no 'lines'.*words, crops, scenes"):
        source_of("icdar2015", level="lines")
    with pytest.raises(BadSettings, match="train, test"):
        source_of("icdar2015", split="val")


def test_a_folder_without_labels_gives_all_images_sorted_and_no_text():
    source = source_of("folder", labels="none")
    samples = [source.read(row) for row in range(len(source))]
    assert [sample.record.origin for sample in samples] == ["a/one.png", "b/one.png", "quote.png"]
    assert {sample.record.words[0].text for sample in samples} == {None}


@pytest.mark.parametrize(
    "path", ["../x.png", "/etc/x.png", "a/../../x.png", "C:\\x.png", "a\\..\\..\\x.png", ".."]
)
def test_a_listed_path_never_leaves_the_folder(tmp_path, path):
    (tmp_path / "list.txt").write_text(f'ok.png, "x"\n{path}, "y"\n')
    with pytest.raises(BadData, match=r"list\.txt:2"):
        source_of("folder", tmp_path, images="")


def test_two_spellings_of_one_path_are_refused(tmp_path):
    (tmp_path / "list.txt").write_text('a/x.png, "x"\n.\\a\\x.png, "y"\n')
    with pytest.raises(BadData, match=r"list\.txt:2.*line 1"):
        source_of("folder", tmp_path, images="")


def test_a_changed_label_is_another_listing(tmp_path):
    shutil.copytree(RAW / "folder/root", tmp_path / "x")
    before = source_of("folder", tmp_path / "x").options
    text = (tmp_path / "x/list.txt").read_text()
    (tmp_path / "x/list.txt").write_text(text.replace("One", "Two"))
    assert source_of("folder", tmp_path / "x").options != before
