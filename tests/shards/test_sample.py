"""Samples and their names: records, tar members, uids, data set ids."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards import manifest, pack
from shards.errors import BadData
from shards.sample import (
    Meta,
    Record,
    Sample,
    Word,
    from_members,
    record_from_json,
    record_to_json,
    to_members,
)

texts = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=12)
points = st.tuples(*[st.floats(-1e6, 1e6, width=32)] * 2)
words = st.builds(
    Word,
    st.none() | texts,
    st.none() | st.lists(points, min_size=4, max_size=6).map(tuple),
    st.booleans(),
    st.none() | st.floats(0, 1),
)
records = st.builds(
    Record,
    st.lists(words, max_size=4).map(tuple),
    st.tuples(st.integers(1, 9999), st.integers(1, 9999)),
    texts,
    st.builds(Meta, st.none() | texts, st.none() | texts),
    st.booleans(),
)


@given(records)
def test_a_record_survives_json(record):
    assert record_from_json(record_to_json(record)) == record


@given(records, st.binary(min_size=1, max_size=50), st.sampled_from(["jpg", "png"]))
def test_a_sample_survives_its_tar_members(record, image, suffix):
    given_sample = Sample(image, suffix, record)
    assert from_members(to_members(given_sample)) == given_sample


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a record"),
        (b"[]", "not a record"),
        (b'{"words":[],"size":[0,3],"origin":"x"}', "at least 1"),
        (b'{"words":[{"text":"a\\nb"}],"size":[3,3],"origin":"x"}', "control character"),
        (b'{"words":[{"text":"a","polygon":[[0,0],[1,1],[2,2]]}],"size":[3,3],"origin":"x"}', "at least 4"),
        (b'{"words":[],"size":[3,3],"origin":"x","format":99}', "99"),
        (b'{"words":[{"text":"a","colour":3}],"size":[3,3],"origin":"x"}', "colour"),
    ],
)
def test_a_bad_record_is_refused_with_the_rule_it_breaks(data, said):
    with pytest.raises(BadData, match=said):
        record_from_json(data)


@given(st.integers(0, 2**22 - 1), st.integers(0, 2**40 - 1))
def test_a_uid_names_one_data_set_and_row(dataset, row):
    uid = manifest.uid_of(dataset, row)
    assert manifest.split_uid(uid) == (dataset, row)
    assert 0 <= uid < 2**63
    assert len(pack.key_of(uid)) == 16


def test_the_data_set_id_depends_on_name_split_and_options_alone():
    base = manifest.dataset_id("a", "train", {"x": 1, "y": 2})
    assert base == manifest.dataset_id("a", "train", {"y": 2, "x": 1})
    others = [
        ("b", "train", {"x": 1, "y": 2}),
        ("a", "test", {"x": 1, "y": 2}),
        ("a", "train", {"x": 1, "y": 3}),
    ]
    assert len({base, *(manifest.dataset_id(*o) for o in others)}) == 4


def test_rows_out_of_range_have_no_uid():
    with pytest.raises(BadData, match="no uid"):
        manifest.uid_of(0, 1 << 40)
