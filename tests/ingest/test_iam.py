"""IAM: splits by writer or by list, flags, and every text and image accounted for."""

import json
import shutil
from pathlib import Path

import pytest

from ingest.sources import Reject
from ingest.sources.iam import Settings, Source
from shards import manifest
from shards.errors import BadData, BadSettings

ROOT = Path(__file__).resolve().parent.parent / "raw/iam/root"
SPLITS = ("train", "val", "test")


@pytest.fixture
def root(tmp_path):
    """The raw tree, to be changed."""
    return Path(shutil.copytree(ROOT, tmp_path / "raw"))


@pytest.fixture
def many(tmp_path, encoded):
    """Sixty forms by thirty writers, a line each."""
    for number in range(60):
        form = f"a01-{number:03d}"
        place = tmp_path / f"many/lines/a01/{form}"
        place.mkdir(parents=True)
        (place / f"{form}-00.png").write_bytes(encoded())
        (tmp_path / "many/xml").mkdir(exist_ok=True)
        (tmp_path / f"many/xml/{form}.xml").write_text(
            f'<form id="{form}" writer-id="{number // 2:03d}"><handwritten-part>'
            f'<line id="{form}-00" segmentation="ok" text="{number}"/></handwritten-part></form>'
        )
    return tmp_path / "many"


def source(root, split="train", **settings):
    return Source(Settings(**settings), str(root), split)


def ids(source):
    return [row.id for row in source.rows]


def everything(root, **settings):
    return sorted(one for split in SPLITS for one in ids(source(root, split, **settings)))


def test_a_seeded_split_gives_every_writer_to_one_side_and_loses_nobody(many):
    sides = [source(many, split, level="lines") for split in SPLITS]
    writers = [{side.read(row).record.meta.writer for row in range(len(side))} for side in sides]
    assert sum(map(len, sides)) == 60
    assert all(sides)
    assert len(writers[0]) > len(writers[1] | writers[2])
    assert sum(map(len, writers)) == len(set.union(*writers)) == 30
    assert all(side.per_split for side in sides)


def test_another_seed_is_another_split_and_another_data_set(many):
    first, second = (source(many, level="lines", seed=seed) for seed in (0, 1))
    assert ids(first) != ids(second)
    assert ids(first) == ids(source(many, level="lines"))
    assert (first.options["split"], second.options["split"]) == ("writers by seed 0", "writers by seed 1")


def test_a_record_knows_its_writer_and_how_its_line_was_segmented(root):
    found = source(root, split_file="{split}.uttlist")
    first, last = (found.read(row).record for row in (0, 5))
    assert (first.origin, first.meta.group, first.meta.writer) == ("a01-000u-00-00", "iam/000", "000")
    assert (first.meta.kind, last.meta.kind) == ("segmentation ok", "segmentation err")
    sample = found.read(0)
    assert sample.image == (root / "words/a01/a01-000u/a01-000u-00-00.png").read_bytes()


def test_rows_left_out_by_policy_are_counted_and_do_not_stop_the_run(tmp_path, shard, root):
    (root / "train.uttlist").write_text("a01-000u\n")
    where = (f"root={root}", f"out={tmp_path / 'out'}", "max_reject_frac=0", "workers=1")
    code, said = shard("source=iam", *where, "split_file={split}.uttlist", "segmentation=ok")
    assert code == 0, said
    assert (
        "train: 6 texts of 1 forms by 1 writers, listed in {split}.uttlist; 2 with segmentation err, left"
        in said
    )
    made = manifest.load(tmp_path / "out/train")
    assert (made.written, made.rejected) == (4, {"excluded": 2})
    ledger = [json.loads(line) for line in (tmp_path / "out/train/rejects.jsonl").read_text().splitlines()]
    assert {one["detail"] for one in ledger} == {"segmentation err"}


def test_every_image_that_no_form_tells_of_is_a_reject(root):
    assert {"c03-003a-07-00", "d04-004-00-00"} <= set(everything(root))
    found = next(one for split in SPLITS if "d04-004-00-00" in ids(one := source(root, split)))
    with pytest.raises(Reject, match="d04-004-00-00: missing_label"):
        found.read(ids(found).index("d04-004-00-00"))


@pytest.mark.parametrize(
    ("listed", "level", "found"),
    [
        ("c03-003a", "words", ["c03-003a-00-00", "c03-003a-00-01", "c03-003a-07-00"]),
        ("c03-003a-00", "words", ["c03-003a-00-00", "c03-003a-00-01"]),
        ("c03-003a-00-01", "words", ["c03-003a-00-01"]),
        ("c03-003a-00", "lines", ["c03-003a-00"]),
        ("c03-003a", "lines", ["c03-003a-00"]),
        ("c03-003a\n\nz99-999", "lines", ["c03-003a-00", "z99-999"]),
    ],
)
def test_a_list_names_forms_lines_or_words(root, listed, level, found):
    (root / "some.txt").write_text(f"{listed}\r\n")
    one = source(root, "whatever", level=level, split_file="some.txt")
    assert (ids(one), one.per_split) == (found, False)


@pytest.mark.parametrize("line", ["a01-000u ok", " a01-000u", "A01-000u", "a01", "../a01-000u", "# train"])
def test_a_line_of_the_list_that_is_no_id_is_named(root, line):
    (root / "some.txt").write_text(f"c03-003a\n{line}\n")
    with pytest.raises(BadData, match=r"some\.txt:2: expected the id of"):
        source(root, split_file="some.txt")


def test_the_xml_folder_may_bear_its_other_name(root):
    before = source(root, "test", split_file="test.uttlist").options
    (root / "xml").rename(root / "xml_data")
    assert source(root, "test", split_file="test.uttlist").options == before


def test_settings_and_folders_that_are_not_there_are_named(root):
    with pytest.raises(BadSettings, match=r"level: no 'forms'.*words, lines"):
        source(root, level="forms")
    with pytest.raises(BadSettings, match=r"segmentation: no 'err'.*all, ok"):
        source(root, segmentation="err")
    with pytest.raises(BadSettings, match="entities=0"):
        source(root, entities=0)
    with pytest.raises(BadSettings, match=r"'valid'.*train, val, test.*split_file=FILE"):
        source(root, "valid")
    with pytest.raises(BadData, match=r"none\.txt: no readable"):
        source(root, split_file="none.txt")
    shutil.rmtree(root / "lines")
    with pytest.raises(BadData, match="no IAM lines; expected xml/"):
        source(root, level="lines")
    shutil.rmtree(root / "xml")
    with pytest.raises(BadData, match="no IAM words; expected xml/"):
        source(root)


def test_a_changed_text_is_another_data_set(root):
    before = source(root, split_file="{split}.uttlist").options
    file = root / "xml/a01-000u.xml"
    file.write_bytes(file.read_bytes().replace(b'text="B"', b'text="C"'))
    assert source(root, split_file="{split}.uttlist").options != before


def test_lists_of_plain_text_keep_flags_name_no_writer_and_are_chosen_by_name(root):
    found = source(root, labels="ascii", split_file="{split}.uttlist")
    first, fifth = (found.read(row).record for row in (0, 4))
    assert (first.meta.group, first.meta.writer, first.meta.kind) == ("iam/a01-000u", None, "segmentation ok")
    assert fifth.meta.kind == "segmentation err"
    assert "7 texts of 2 forms, listed in {split}.uttlist; 2 with segmentation err, kept" in found.notes[0]
    assert found.options["labels"] == "ascii"
    shutil.rmtree(root / "xml")
    assert ids(source(root, labels="ascii", split_file="{split}.uttlist")) == ids(found)
    with pytest.raises(BadData, match=r"expected xml/.*labels=ascii reads words\.txt instead"):
        source(root)
    with pytest.raises(BadSettings, match=r"labels=ascii.*names no writers.*split_file=FILE"):
        source(root, labels="ascii")
    with pytest.raises(BadSettings, match=r"labels: no 'txt'.*xml, ascii"):
        source(root, labels="txt")
    (root / "words.txt").unlink()
    with pytest.raises(BadData, match=r"words\.txt: no readable"):
        source(root, labels="ascii", split_file="{split}.uttlist")
