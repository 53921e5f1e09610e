"""What a command line makes a search vary, and the names that trials go by."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shards.errors import BadData, BadSettings
from shards.written import write_json
from train.searching.axes import Choice, Log, Space, Uniform, Whole, pairs, parse, parts
from train.searching.trials import Folder, Roster, Trial, label, name


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("none,logits", Choice(("none", "logits"))),
        ("none, [logits,hard]", Choice(("none", "[logits,hard]"))),
        ("[a,b],[c,[d,e]]", Choice(("[a,b]", "[c,[d,e]]"))),
        ("log(1e-4,1e-2)", Log(1e-4, 1e-2)),
        ("uniform(-1, 2)", Uniform(-1, 2)),
        ("int(1,8)", Whole(1, 8)),
    ],
)
def test_lists_and_ranges_are_axes(text, axis):
    assert parse([("key", text)]) == Space({}, {"key": axis})


@pytest.mark.parametrize("text", ["", "1e-3", "[a,b]", "data/own", "a=b", "log", "f(1,2)", "[a", "null"])
def test_whatever_else_is_one_value_and_stays_as_it_is(text):
    assert parse([("key", text)]) == Space({"key": text}, {})


def test_seeds_are_no_axis_and_the_last_of_equal_keys_counts():
    space = parse([("a", "1,2"), ("seed", "0,1"), ("b", "x"), ("a", "3")])
    assert space == Space({"a": "3", "b": "x"}, {}, ("0", "1"))
    assert parse([("seed", "7")]).seeds == ("7",)


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        ("key", "a,,b", "an empty value"),
        ("key", "a,b,", "an empty value"),
        ("model.channels", "4,4,8", "[4,4,8] would be one value"),
        ("key", "[a,b", "']' is missing"),
        ("key", "1,log(1,2)", "a range stands alone"),
        ("key", "log(0,1)", "begins above 0, as in log(1,10)"),
        ("key", "log(1)", "has two numbers"),
        ("key", "uniform(a,b)", "has two numbers"),
        ("key", "uniform(2,1)", "up to a greater one"),
        ("key", "uniform(0,inf)", "up to a greater one"),
        ("key", "int(0.5,2)", "takes whole numbers"),
        ("seed", "int(0,3)", "seeds are listed"),
    ],
)
def test_what_is_no_axis_is_refused_with_the_reason(key, text, told):
    with pytest.raises(BadSettings, match=re.escape(told)) as error:
        parse([(key, text)])
    assert str(error.value).startswith(f"{key}={text}: ")


BRACKETED = st.recursive(
    st.sampled_from(["a", "b=1", ".5", "data/own", "x y"]),
    lambda inner: st.lists(inner, min_size=1, max_size=3).map(lambda some: f"[{','.join(some)}]"),
    max_leaves=5,
)


@given(st.lists(BRACKETED, min_size=1, max_size=5))
def test_a_list_comes_apart_as_it_was_put_together(values):
    assert parts("key", ",".join(values)) == values


@given(st.sampled_from([Log(1e-5, 1e3), Uniform(-3, 0.7), Whole(-2, 9)]), st.floats(0, 1, exclude_max=True))
def test_ranges_give_values_within_them_that_lead_back_to_their_place(axis, place):
    text = axis.at(place)
    assert axis.low <= float(text) <= axis.high
    assert axis.at(min(axis.place(text), 1 - 1e-9)) == text
    assert abs(axis.place(text) - place) <= 0.5 / min(axis.count, 12) + 1e-3


def test_a_range_of_whole_numbers_gives_each_of_them_as_often():
    assert [Whole(1, 4).at(k / 8) for k in range(8)] == list("11223344")


def test_pairs_keep_brackets_together():
    assert pairs("baseline", "a=1,b.c=[2,3]") == {"a": "1", "b.c": "[2,3]"}
    with pytest.raises(BadSettings, match="'x' is not KEY=VALUE"):
        pairs("baseline", "x")


@pytest.mark.parametrize(
    ("values", "seed", "found"),
    [
        ({"method": "none"}, "0", "none-s0"),
        ({"method": "[logits,hard]", "optim.lr": "1e-3"}, "", "logits+hard-lr1e-3"),
        ({"data.root": "data/own", "flag": "true"}, "12", "rootdata-own-flagtrue-s12"),
        ({}, "", "trial"),
        ({"x": ".."}, "", "x"),
    ],
)
def test_names_are_made_of_values(values, seed, found):
    assert name(values, seed) == found


@given(st.dictionaries(st.text("ab.", min_size=1), st.text(max_size=90), max_size=4))
def test_names_are_file_names(values):
    assert re.fullmatch(r"[A-Za-z0-9_+][A-Za-z0-9._+-]{0,79}", name(values, "0"))
    assert name(values, "0") == name(dict(values), "0")


def test_labels_say_what_a_name_means():
    assert label({"method": "[a,b]", "optim.lr": "1e-3", "x": "true"}) == "[a,b] lr 1e-3 x true"


def test_equal_names_of_different_trials_are_kept_apart_and_equal_trials_keep_theirs():
    roster = Roster([])
    first = roster.enter(Trial("a", "e.py", {"x": "1", "y": "2"}, {}))
    other = roster.enter(Trial("a", "e.py", {"x": "1", "y": "3"}, {}))
    assert first.name == "a"
    assert re.fullmatch("a-[0-9a-f]{6}", other.name)
    again = Roster([first, other]).enter(Trial("b", "e.py", {"y": "3", "x": "1"}, {"x": "1"}, control="c"))
    assert (again.name, again.values, again.control) == (other.name, {"x": "1"}, "")


def test_a_trial_on_disk_is_what_was_saved_and_another_format_is_refused(tmp_path):
    folder = Folder(tmp_path)
    saved = folder.save(Trial("a", "e.py", {"x": "1"}, {"x": "1"}, "0", metrics={"cer": 0.5}))
    assert folder.load() == [saved]
    for wrong, told in (({"format": 9}, "format is 9, this version reads 1"), ({"format": 1}, "missing")):
        write_json(tmp_path / "trials" / "a" / "trial.json", wrong)
        with pytest.raises(BadData, match=told):
            folder.load()
