"""Splits that nobody published: by group, seeded, each row once, and written down."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.shares import Part, Shares, shares_of
from shards import manifest
from shards.errors import BadData, BadSettings
from shards.read import Shards

THREE = Shares(("train", "val", "test"), (0.8, 0.1, 0.1), 0, "")
GROUPS = st.lists(st.text(max_size=3), min_size=1, max_size=60)


class Rows(list):
    """A double of a source with as many rows as groups."""

    per_split, options = False, {"listing": "x"}

    def group(self, row):
        return self[row]

    def read(self, row):
        return row


def rows_of(groups, split, shares=THREE):
    try:
        part = Part("double", Rows(groups), split, shares)
    except BadData:
        return []
    return [part.read(row) for row in range(len(part))]


@given(groups=GROUPS, seed=st.integers(0, 5))
def test_every_row_is_in_one_split_in_order_and_no_group_in_two(groups, seed):
    shares = Shares(THREE.splits, THREE.parts, seed, "")
    parts = [rows_of(groups, split, shares) for split in shares.splits]
    assert sorted(row for part in parts for row in part) == list(range(len(groups)))
    assert all(part == sorted(part) for part in parts)
    sides = [{groups[row] for row in part} for part in parts]
    assert sum(map(len, sides)) == len(set(groups))


@given(groups=GROUPS, more=GROUPS)
def test_a_group_stays_where_it_is_whatever_else_comes(groups, more):
    before = {groups[row] for row in rows_of(groups, "train")}
    both = more + groups
    after = {both[row] for row in rows_of(both, "train")}
    assert before == after & set(groups)


def test_shares_are_kept_by_chance_and_the_seed_decides():
    names = [f"photo {number}" for number in range(10_000)]
    counts = Counter(map(THREE.split_of, names))
    assert [round(counts[split] / 10_000, 2) for split in THREE.splits] == pytest.approx(
        THREE.parts, abs=0.011
    )
    other = Shares(THREE.splits, THREE.parts, 1, "")
    moved = sum(THREE.split_of(name) != other.split_of(name) for name in names)
    assert 0.3 < moved / 10_000 < 0.38  # 1 - (0.8² + 0.1² + 0.1²)


def test_an_expression_says_what_in_a_name_makes_a_group():
    pages = Shares(THREE.splits, THREE.parts, 0, r"^(\w+)/.*_(\d+)\.")
    assert pages.group_of("a/line_7.png") == pages.group_of("a/word_7.png") == "a/7"
    assert Shares(THREE.splits, THREE.parts, 0, r"^\w+").group_of("ab/7.png") == "ab"
    with pytest.raises(BadSettings, match=r"finds nothing in 'x\.png'"):
        pages.group_of("x.png")


@pytest.mark.parametrize(
    ("splits", "parts", "seed", "by", "why"),
    [
        (["train"], [1.0], 0, "", "two or more"),
        (["train", "val"], [0.9], 0, "", "one number for each of split=train,val"),
        (["a", "a"], [0.5, 0.5], 0, "", "two or more"),
        (["a", "b"], [0.5, 0.4], 0, "", "1 together"),
        (["a", "b"], [1.0, 0.0], 0, "", "all above 0"),
        (["a", "b"], [1.5, -0.5], 0, "", "all above 0"),
        (["a", "b"], [0.5, 0.5], 0, "(", "no regular expression"),
        (["a", "b"], [], 3, "", "only with shares="),
        (["a", "b"], [], 0, "x", "only with shares="),
    ],
)
def test_shares_that_cannot_be_are_refused(splits, parts, seed, by, why):
    with pytest.raises(BadSettings, match=why):
        shares_of(splits, parts, seed, by)
    assert shares_of(["a"], [], 0, "") is None


@pytest.fixture
def pages(tmp_path, encoded):
    """A raw folder of 40 word images of 8 pages, PAGE/NUMBER_text_0.png."""
    root = tmp_path / "raw"
    for number in range(40):
        (root / f"p{number % 8}").mkdir(parents=True, exist_ok=True)
        (root / f"p{number % 8}/{number}_word{number}_0.png").write_bytes(encoded(size=(20 + number, 8)))
    return root


def run(shard, pages, out, *more):
    arguments = ("labels=name", "pattern={n}_{text}_{id}", "split=train,val,test", "shares=.5,.25,.25")
    return shard(
        "source=folder", f"root={pages}", f"out={out}", *arguments, r"share_by=^p\d", "workers=1", *more
    )


def pages_of(folder):
    shards = Shards([folder.parent], folder.name)
    return {shards.record(row).origin.split("/")[0] for row in range(len(shards))}


def test_one_command_writes_all_sides_and_the_manifest_says_how(tmp_path, shard, pages, snapshot):
    code, said = run(shard, pages, tmp_path / "out")
    assert code == 0, said
    done = [manifest.load(tmp_path / "out" / split) for split in ("train", "val", "test")]
    assert sum(one.written for one in done) == 40
    assert done[0].options["shares"] == {
        "parts": {"train": 0.5, "val": 0.25, "test": 0.25}, "seed": 0, "by": r"^p\d"
    }  # fmt: skip
    sides = [pages_of(tmp_path / "out" / split) for split in ("train", "val", "test")]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 8
    before = snapshot(tmp_path / "out")
    assert run(shard, pages, tmp_path / "out")[0] == 0
    assert snapshot(tmp_path / "out") == before
    code, said = run(shard, pages, tmp_path / "out", "share_seed=1")
    assert (code, "holds another data set" in said) == (2, True), said


def test_the_same_shards_come_from_several_processes(tmp_path, shard, pages, snapshot):
    for name, workers in (("a", "workers=1"), ("b", "workers=2")):
        assert run(shard, pages, tmp_path / name, "rows_per_shard=4", workers)[0] == 0
    assert snapshot(tmp_path / "a") == snapshot(tmp_path / "b")


def test_a_source_with_splits_of_its_own_takes_no_shares(tmp_path, shard, pages):
    (pages / "train.tsv").write_text("p0/0_word0_0.png\tx\n")
    where = (f"root={pages}", f"out={tmp_path / 'out'}", "split=train,val", "shares=.5,.5")
    for arguments in (("source=folder", "labels={split}.tsv"), ("source=rendered", "count=5")):
        code, said = shard(*arguments, *where)
        assert (code, "splits of its own" in said) == (2, True), said
    assert not (tmp_path / "out").exists()


def test_a_split_that_gets_nothing_is_said(tmp_path, shard, pages):
    code, said = shard(
        "source=folder", "labels=none", f"root={pages}", f"out={tmp_path}", "split=a,b", "shares=.5,.5",
        "share_by=^p",
    )  # fmt: skip
    assert (code, "none of the 1 groups of source=folder falls to split=" in said) == (3, True), said
