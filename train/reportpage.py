"""The page of train.report: its style, its template, and what stands in it, from the accounts of runs."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from shards.marks import cells
from shards.page import data_uri, fitted, render, spelled, visible
from train import comparison, curves, mistakes, standing
from train.account import Account, Example, Figure, Mistakes
from train.comparison import Row, Table
from train.mistakes import SIGN

STYLE = """
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem } nav a { color: LinkText }
.results td, .results th { vertical-align: top } .results td small { display: block }
.results td + td small, .mistake small { white-space: nowrap }
.results th:last-child, .results td:last-child { text-align: left; min-width: 10rem; max-width: 26rem }
.results td:first-child { overflow-wrap: anywhere; min-width: 7rem }
.loud { border-left: .3rem solid #e07b39; padding: .1rem 0 .1rem .8rem; margin: .6rem 0 }
.charts { margin: 1rem 0 } details { margin: .5rem 0 } summary { cursor: pointer }
pre { overflow-x: auto; background: var(--soft); padding: .6rem .8rem; border-radius: 4px }
td.text { overflow-wrap: anywhere } td.text:first-child { overflow-wrap: break-word }
.mistake { width: 9.1rem; align-self: flex-start }
.mistake img { width: 100%; image-rendering: pixelated; display: block }
.mistake div { display: flex; gap: .5em; justify-content: space-between } .truth { min-width: 0 }
.truth mark { background: rgb(29 154 75 / .45) } .reading mark { background: rgb(209 73 91 / .45) }
.truth::before { content: "truth "; color: GrayText } .reading::before { content: "read "; color: GrayText }
"""
BODY = """
{% macro share(found, shown="%.2f", times=100) %}{% if found %}{{ shown|format(times * found.value) }}
<small class="note">[{{ shown|format(times * found.low) }}, {{ shown|format(times * found.high) }}]</small>
{%- else %}–{% endif %}{% endmacro %}
<nav aria-label="parts of this page"><a href="#results">Results</a><a href="#curves">Curves</a>
{% for wrong in wrongs %}
<a href="#wrong-{{ loop.index }}">Mistakes of {{ visible(wrong.model) }} on {{ visible(wrong.where) }}</a>
{% endfor %}
<a href="#runs">Runs</a></nav>
{% for one in accounts if one.status.get("state") != "done" %}
<p class="loud"><b>{{ visible(one.name) }}</b>: {{ one.status.get("state", "unknown") }}
{%- if one.status.get("global_step") is number %}, step {{ "{:,}".format(one.status.global_step) }}
{%- endif %}
{%- if one.status.get("reason") %}: {{ visible(one.status.reason|string) }}{% endif %}</p>
{% endfor %}
{% for one in accounts if one.warning %}<p class="loud">{{ one.warning }}</p>{% endfor %}

<h2 id="results">Results</h2>
{% for set in sets %}
<h3>{{ visible(set.name) }}</h3>
<p class="note">{{ "{:,}".format(set.n) }} words{% if set.data %}, data {{ set.data }}{% endif %}</p>
<div class="wide"><table class="results"><thead>
<tr>{% for column in columns %}<th scope="col">{{ column }}</th>{% endfor %}</tr></thead><tbody>
{% for r in set.results %}<tr><td>{{ visible(r.name) }}
{%- if r.damaged %} <small class="note">{{ r.damaged }} damaged, counted as missed</small>{% endif %}</td>
<td>{{ share(r.figures.word_acc) }}</td><td>{{ share(r.figures.get("word_acc_ics")) }}</td>
<td>{{ share(r.figures.one_minus_ned, "%.4f", 1) }}</td><td>{{ share(r.figures.cer) }}</td>
<td>{{ "{:,}".format(r.params) }}</td><td>{{ "%.2f"|format(r.mb) }}</td>
<td>{% if r.ms_per_word is none %}<span class="note">not measured</span>
{%- else %}{{ "%.2f"|format(r.ms_per_word) }}{% endif %}</td>
<td>{{ r.verdict }}</td></tr>
{% endfor %}</tbody></table></div>
{% for reason in set.reasons %}<p class="loud">{{ reason }}</p>{% endfor %}
{% if set.sources %}<h4>Word accuracy by data set</h4>{{ table(*set.sources) }}{% endif %}
{% if set.charts %}<div class="charts">{% for chart in set.charts %}{{ chart }}{% endfor %}</div>{% endif %}
{% if set.lengths %}<details><summary>Word accuracy by length, as a table</summary>{{ table(*set.lengths) }}
</details>{% endif %}
{% endfor %}
{% if sets %}<p class="note">In brackets: 95 % intervals, Wilson's for accuracies, else of a bootstrap over
words. Verdicts: the difference in percent points, paired bootstrap on the same words.</p>{% endif %}
{% if unevaluated %}
<h3>Not evaluated yet</h3>{{ table(*unevaluated) }}
{% if command %}<p>Next: <code>{{ command }}</code></p>{% endif %}
{% endif %}

<h2 id="curves">Curves</h2>
{% if curves %}<div class="charts">{% for curve in curves %}{{ curve }}{% endfor %}</div>
{% else %}<p>Nothing has been logged yet.</p>{% endif %}
{% if zero %}<p class="note">0 all the time: {{ zero|join("; ") }}.</p>{% endif %}

{% for wrong in wrongs %}
<h2 id="wrong-{{ loop.index }}">Mistakes of {{ visible(wrong.model) }} on {{ visible(wrong.where) }}</h2>
<div class="charts">{% for chart in wrong.charts %}{{ chart }}{% endfor %}</div>
{% if wrong.confused %}<details><summary>The {{ wrong.confused|length }} most frequent confusions</summary>
{{ table(("truth", "read as", "times"), wrong.confused) }}</details>{% endif %}
{% if wrong.sources %}<h3>Word accuracy by data set</h3>{{ table(*wrong.sources) }}{% endif %}
{% if wrong.missing %}<p class="note">{{ wrong.missing }}</p>{% endif %}
{% set cards = wrong.cards[:shown] %}
{% if cards %}<h3>The {{ cards|length }} mistakes it was most sure of</h3>
<p class="note">What the model saw, its confidence in percent, and marked what differs.</p>
<div class="cards">{% for card in cards %}
<figure class="mistake"><img alt="crop of {{ card.alt }}" title="{{ card.uid }}" src="{{ card.source }}">
<figcaption><div><span class="truth">{{ card.truth }}</span><small class="note">{{ card.score }}</small></div>
<span class="reading">{{ card.reading }}</span></figcaption></figure>
{% endfor %}</div>{% elif not wrong.cards %}<p>It made none.</p>{% endif %}
{% endfor %}

<h2 id="runs">Runs</h2>
{{ table(*states) }}
{% if untaught %}<h3>Training samples that could not teach</h3>{{ table(*untaught) }}{% endif %}
{% for name, count, reasons in damage %}
<h3>Damaged samples: {{ visible(name) }}, {{ "{:,}".format(count) }}</h3>
{% if reasons %}{{ table(("sample", "what is wrong"), reasons) }}{% endif %}{% endfor %}
{% if data %}<h3>Data</h3>{{ table(*data) }}{% endif %}
{% if differing %}<h3>Settings that differ</h3>{{ table(*differing) }}{% endif %}
<h3>All settings</h3>
{% for one in accounts %}<details><summary>{{ visible(one.name) }}</summary>
<pre>{{ one.text or "no config.yaml" }}</pre></details>{% endfor %}
"""
MOST_EXAMPLES = mistakes.EXAMPLES
CONFUSED = 20  # confusions named in words
RESULTS = (
    "model", "word accuracy, %", "ignoring case and symbols, %", "1-NED", "CER, %", "parameters", "MB",
    "ms/word", "verdict",
)  # fmt: skip
OLD = "Confusions and lengths were not kept when this was evaluated: run train.evaluation again."


@dataclass(frozen=True, slots=True)
class Card:
    """A mistake on the page."""

    uid: str
    alt: str
    source: Markup
    truth: Markup
    reading: Markup
    score: str


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


def draw(accounts: Sequence[Account], title: str) -> str:
    """The page as HTML, with as many examples as it has room for."""
    drawn, zero = curves.draw(accounts)
    told = {
        "accounts": accounts, "sets": comparison.sets(accounts),
        "unevaluated": comparison.unevaluated(accounts), "command": comparison.command(accounts),
        "curves": drawn, "zero": zero, "wrongs": _wrongs(accounts), "states": standing.states(accounts),
        "untaught": standing.untaught(accounts), "damage": standing.damage(accounts),
        "data": standing.data(accounts), "differing": standing.differing(accounts),
        "columns": RESULTS,
    }  # fmt: skip
    return fitted(lambda shown: render(BODY, title, STYLE, shown=shown, **told), MOST_EXAMPLES)


def _wrongs(accounts: Sequence[Account]) -> list[Wrong]:
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
    mine, theirs = mistakes.differences(found.scored, found.prediction)
    # Case that does not count is shown as it is written, where the places are the same.
    truth = found.truth if len(found.truth) == len(found.scored) else found.scored
    reading = visible(found.prediction, theirs) if found.prediction else Markup("<i>nothing</i>")
    uri = data_uri(found.png, "png")
    return Card(
        found.uid, spelled(found.truth), uri, visible(truth, mine), reading, f"{100 * found.score:.0f}"
    )


def percent(found: Figure) -> str:
    """A share as a table on the terminal shows it."""
    return f"{100 * found.value:.2f} [{100 * found.low:.2f}, {100 * found.high:.2f}]"
