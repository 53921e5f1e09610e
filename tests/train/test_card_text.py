"""What comes from data is text on a card, whatever it holds: no heading, no markup, no broken table."""

import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.train.cards import HASHES, KEPT, front, told
from train.card import card
from train.cardtext import code, inline


def opened(text):
    """(level, text) of the headings of Markdown, by its lines."""
    body = text.split("\n---\n", 1)[1]
    lines = [line for part in body.split("\n```\n")[::2] for line in part.split("\n")]
    return [
        (len(marks), rest)
        for marks, _, rest in (line.partition(" ") for line in lines)
        if set(marks) == {"#"}
    ]


TITLES = ["Use", "What it sees", "Data and licences", "Results", "Teacher and method", "Control",
          "Known failures", "Calibration", "Note", "Hashes"]  # fmt: skip
EVIL = st.one_of(
    st.text(max_size=20),
    st.lists(st.sampled_from([
        "\n", "\r", "\u2028", "## Licence", "# ", "MIT", "<img src=x>", "<!--", "&lt;", "|", "\\", "`", "``",
        "```", "[a](http://b.c)", "![a](b)", "[a]: /b", "*", "_", "a", "---", "===", " ", "    ", "- ", "1. ",
    ]), max_size=6).map("".join),
)  # fmt: skip


@st.composite
def configs(draw):
    """A config.json in which every text that comes from data is any."""
    counts = st.integers(1, 9)
    pairs = st.lists(st.lists(EVIL, min_size=2, max_size=2), max_size=2)
    weak = st.dictionaries(
        EVIL, st.lists(st.tuples(EVIL, counts, counts), min_size=1, max_size=2), max_size=2
    )
    kept = {
        **KEPT, "weak": draw(weak), "confusions": [[*pair, 3] for pair in draw(pairs)],
        "protocol": draw(EVIL),
        "verdict": draw(st.sampled_from([
            {"verdict": "NOT JUDGED", "field": draw(EVIL), "against": "c/best"},
            {**KEPT["verdict"], "against": "/" + draw(EVIL).replace("\0", "")},
        ])),
        "recogniser": {"name": draw(EVIL), "weights": draw(EVIL)},
    }  # fmt: skip
    data = draw(st.dictionaries(EVIL, EVIL, max_size=2))
    entry = st.one_of(EVIL, st.dictionaries(EVIL, EVIL, max_size=2), st.lists(EVIL, max_size=2))
    return {
        **told(draw(EVIL)), "evaluated": {draw(EVIL): kept},
        "data": {key: {"split": draw(EVIL), "licence": said, "samples": 1, "digest": draw(EVIL)}
                 for key, said in data.items()},
        "method": draw(st.dictionaries(EVIL, entry, max_size=2)),
        "control": draw(st.sampled_from(["", "c", "# c"])),
        "teacher": draw(st.dictionaries(EVIL, entry, max_size=2)), "note": draw(entry),
    }  # fmt: skip


@given(configs())
def test_no_text_opens_a_heading_or_breaks_the_front_matter_or_a_table(config):
    text = card(config, 9, HASHES)
    assert text == card(json.loads(json.dumps(config)), 9, HASHES)
    (name,) = config["evaluated"]
    assert front(config)["model-index"][0]["results"][0]["dataset"]["name"] == name
    first, *titles = opened(text)
    assert first == (1, f"{inline(config['model']['name'])}: reading words")
    assert titles == [(2, title) for title in TITLES]
    lines = text.split("\n## Data and licences\n")[1].split("\n## Teacher")[0].split("\n")
    rows = [line for line in lines if line.startswith("| ") or line.startswith("|---")]
    assert {re.sub(r"\\.", "", row).count("|") for row in rows} == {6}  # both tables have five columns


@given(configs())
def test_a_reader_of_markdown_sees_text_and_nothing_else_in_what_comes_from_data(config):
    read = pytest.importorskip("markdown_it").MarkdownIt("commonmark").enable("table").parse
    body = card(config, 9, HASHES).split("\n---\n", 1)[1]
    seen = read(body)
    titles = [after.content for at, after in pairwise(seen) if at.type == "heading_open"]
    assert titles[1:] == TITLES
    kinds = {one.type for one in seen} | {each.type for one in seen for each in one.children or ()}
    assert not kinds & {
        "html_block",
        "html_inline",
        "link_open",
        "image",
        "em_open",
        "strong_open",
        "code_block",
    }
    assert sum(one.type == "fence" for one in seen) == 1
    assert sum(one.type == "table_open" for one in seen) == 1 + bool(config["data"])


@given(EVIL)
def test_a_reader_of_markdown_sees_the_text_itself(text):
    parse = pytest.importorskip("markdown_it").MarkdownIt("commonmark").parseInline
    line = " ".join(text.split())
    for made, kind in ((f"x{inline(text)}", "text"), (code(text), "code_inline")):
        (block,) = parse(made)
        found = "".join(one.content for one in block.children)
        assert {one.type for one in block.children} <= {kind, "text_special"}
        assert found.strip() == (f"x{line}" if kind == "text" else line).replace("\0", "\ufffd").strip()
