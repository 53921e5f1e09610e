"""What models got wrong as a part of the report: confusions, lengths, and pictures with what was read."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from shards.marks import cells
from shards.page import data_uri, spelled, visible
from train import comparison, mistakes
from train.account import Account
from train.comparison import Row, Table
from train.mistakes import SIGN
from train.results import Example, Mistakes

STYLE = """
.mistake { width: 9.1rem; align-self: flex-start }
.mistake.wide { width: 34rem; max-width: 100% }
.mistake small { white-space: nowrap }
.mistake img { width: 100%; image-rendering: pixelated; display: block }
.mistake div { display: flex; gap: .5em; justify-content: space-between } .truth { min-width: 0 }
.mistake .straight { margin-top: 2px; outline: 1px solid rgb(76 139 245) }
.truth mark { background: rgb(29 154 75 / .45) } .reading mark { background: rgb(209 73 91 / .45) }
.truth::before { content: "truth "; color: GrayText } .reading::before { content: "read "; color: GrayText }
"""
BODY = """
{% for wrong in wrongs %}
<h2 id="wrong-{{ loop.index }}">Mistakes of {{ visible(wrong.model) }} on {{ visible(wrong.where) }}</h2>
<div class="charts">{% for chart in wrong.charts %}{{ chart }}{% endfor %}</div>
{% if wrong.confused %}<details><summary>The {{ wrong.confused|length }} most frequent confusions</summary>
{{ table(("truth", "read as", "times"), wrong.confused) }}</details>{% endif %}
{% if wrong.sources %}<h3>Word accuracy by data set</h3>{{ table(*wrong.sources) }}{% endif %}
{% if wrong.missing %}<p class="note">{{ wrong.missing }}</p>{% endif %}
{% set cards = wrong.cards[:shown] %}
{% if cards and cards[0].wide %}<h3>The {{ cards|length }} pictures with the most faults</h3>
<p class="note">Blue: found, rightly. Orange: found where no word stands, or in pieces, or several in one.
Red: missed. Grey: does not count. The letters are what was read.</p>
{% elif cards %}<h3>The {{ cards|length }} mistakes it was most sure of</h3>
<p class="note">What the model saw
{%- if cards[0].straight %}, below it what its spatial transformer made of that
{%- endif %}, its confidence in percent, and marked what differs.</p>
{% endif %}
{% if cards %}<div class="cards">{% for card in cards %}
<figure class="mistake{{ " wide" if card.wide }}">
<img alt="crop of {{ card.alt }}" title="{{ card.uid }}" src="{{ card.source }}">
{% if card.straight %}<img class="straight" alt="the same, straightened" src="{{ card.straight }}">
{% endif %}
<figcaption><div><span class="truth">{{ card.truth }}</span><small class="note">{{ card.score }}</small></div>
<span class="reading">{{ card.reading }}</span></figcaption></figure>
{% endfor %}</div>{% elif not wrong.cards %}<p>It made none.</p>{% endif %}
{% endfor %}
"""
CONFUSED = 20  # confusions named in words
OLD = "Confusions and lengths were not kept when this was evaluated: run train.evaluation again."


@dataclass(frozen=True, slots=True)
class Card:
    """A mistake on the page."""

    uid: str
    alt: str
    source: Markup
    straight: Markup | None
    truth: Markup
    reading: Markup
    score: str
    wide: bool  # a whole picture, with counts below it


@dataclass(frozen=True, slots=True)
class Wrong:
    """What a model got wrong, and where."""

    model: str
    where: str
    charts: list[Markup]
    confused: Sequence[Row]
    sources: Table | None
    cards: list[Card]
    missing: str


def draw(accounts: Sequence[Account]) -> list[Wrong]:
    """Of every evaluation; of a run without any, what it got wrong while training."""
    out = []
    for one in accounts:
        out += [_wrong(result.name, result.set, result.mistakes) for result in one.results]
        if one.mistakes and not one.results:
            where = f"its validation words, training, step {one.step:,}"
            out.append(_wrong(one.name, where, one.mistakes))
    return out


def _wrong(name: str, where: str, found: Mistakes) -> Wrong:
    charts, wrong = [], [one for one in found.confusions or () if one[0] != one[1]]
    if wrong:
        charts.append(_confusions(found.confusions or ()))
    if found.lengths:
        charts.append(comparison.by_length({name: found}))
    cards = [_card(example) for example in found.examples]
    missing = OLD if found.confusions is None or found.lengths is None else ""
    confused = [(visible(t or SIGN), visible(p or SIGN), n) for t, p, n in wrong[:CONFUSED]]
    return Wrong(name, where, charts, confused, comparison.sources(found), cards, missing)


def _confusions(found: Sequence[tuple[str, str, int]]) -> Markup:
    names, shares = mistakes.grid(found)
    place = {name: i for i, name in enumerate(names)}
    shown = [spelled(name) or SIGN for name in names]
    notes = {
        (place[t], place[p]): f"{shown[place[t]]} read as {shown[place[p]]}: {n:,}, "
        f"{100 * shares[place[t], place[p]]:.1f} % of all {shown[place[t]]}"
        for t, p, n in found
        if t in place and p in place and t != p
    }
    # What was read where nothing stands is a share of few: it does not set the scale.
    rows = [row for row, name in enumerate(names) if name] or [0]
    most = float(shares[rows].max()) or 1.0
    title = f"Confusions: truth down, reading across; full colour: {100 * most:.0f} % of a true character"
    return cells(title, shown, np.minimum(shares, most), f"{SIGN}: nothing there, or left out", notes)


def _card(found: Example) -> Card:
    mine, theirs = (set(), set()) if found.jpeg else mistakes.differences(found.scored, found.prediction)
    # Case that does not count is shown as it is written, where the places are the same.
    truth = found.truth if len(found.truth) == len(found.scored) else found.scored
    reading = visible(found.prediction, theirs) if found.prediction else Markup("<i>nothing</i>")
    picture = data_uri(found.jpeg, "jpeg") if found.jpeg else data_uri(found.png, "png")
    straight = data_uri(found.rectified, "png") if found.rectified else None
    return Card(
        found.uid, spelled(found.truth), picture, straight, visible(truth, mine), reading,
        f"{100 * found.score:.0f}", bool(found.jpeg),
    )  # fmt: skip
