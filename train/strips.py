"""Words that a teacher changed as a part of the report: pictures, readings, and opinions step by step.

Under a picture stand the time steps, the teacher's above the student's: a cell per step, where the step lies
in the picture, with the best class in it, the more coloured the surer; below it the second class, where it
has some probability. A blank is a dot.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from shards.page import data_uri, spelled, visible
from train.account import Account
from train.changes import BLANK, HELPED, HURT, Change, Reading, Step
from train.mistakes import differences

STYLE = """
.changes { display: grid; gap: 1.1rem 1.4rem; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(21rem, 100%), 1fr)) }
.change img { width: 100%; image-rendering: pixelated; display: block }
.strip { display: flex; margin-top: 1px; height: 1.75rem; overflow: hidden; --hue: 224 123 57 }
.teacher { --hue: 76 139 245 }
.strip i { flex: 1 1 0; min-width: 0; overflow: hidden; text-align: center;
  font: .72rem/.95rem system-ui, sans-serif; background: rgb(var(--hue) / calc(.8 * var(--p))) }
.strip i.blank { color: GrayText; background: rgb(128 128 128 / calc(.16 * var(--p))) }
.strip small { display: block; font-size: .64rem; line-height: .75rem; color: inherit; opacity: .75 }
.read { display: grid; grid-template-columns: max-content 1fr max-content; gap: 0 .7rem; margin-top: .35rem }
.read > :nth-child(3n+1), .read > :nth-child(3n) { color: GrayText }
.read > :nth-child(3n) { text-align: right } .read .wanted mark { background: rgb(29 154 75 / .45) }
.read mark { background: rgb(209 73 91 / .45) }
.key { --hue: 224 123 57 } .key.teacher { --hue: 76 139 245 }
.key::before { content: ""; display: inline-block; width: .65em; height: .65em; margin-right: .35em;
  background: rgb(var(--hue)) }
"""
BODY = """
{% for one in changes %}
<h2 id="changes-{{ loop.index }}">What distillation changed: {{ visible(one.name) }}</h2>
<p class="note">Validation words that only one of student and control reads right, those first where the right
reading is surer than the wrong one by most; confidences in percent. Under the pictures stands what
<span class="key teacher">teacher</span> and <span class="key">student</span> think step by step: the fuller
the colour the surer, a dot is the blank, and below is the second class where it has more than 10 %.</p>
{% for group in one.groups %}
<h3>{{ group.title }}</h3>
{% if group.cards %}<div class="changes">{% for card in group.cards[:shown] %}
<figure class="change"><div class="wide"><div style="min-width:{{ card.width }}">
<img alt="crop of {{ card.alt }}" title="{{ card.uid }}" src="{{ card.source }}">{{ card.strips }}</div></div>
<figcaption class="read">{{ card.rows }}</figcaption></figure>
{% endfor %}</div>{% endif %}
{% endfor %}{% endfor %}
"""
TITLES = {HELPED: "helped: the student is right, its control is not", HURT: "hurt: the control is right"}
NARROWEST = 0.72  # rem, of a cell: one letter
ORDER = ("teacher", "student", "control")


@dataclass(frozen=True, slots=True)
class Card:
    """A word on the page. width: the least that its steps need."""

    uid: str
    alt: str
    source: Markup
    width: str
    strips: Markup
    rows: Markup


@dataclass(frozen=True, slots=True)
class Group:
    """Words that were helped, or hurt."""

    title: str
    cards: list[Card]


@dataclass(frozen=True, slots=True)
class Changes:
    """What the teacher of one student changed."""

    name: str
    groups: list[Group]


def draw(accounts: Sequence[Account]) -> list[Changes]:
    """Of every run that has words which its teacher changed."""
    return [
        Changes(one.name, [_group(kind, one.changes) for kind in (HELPED, HURT)])
        for one in accounts
        if one.changes
    ]


def _group(kind: str, found: Sequence[Change]) -> Group:
    chosen = [one for one in found if one.kind == kind]
    count = f"{len(chosen)} of {chosen[0].of:,} words" if chosen else "No words"
    return Group(f"{count} {TITLES[kind]}", [_card(one) for one in chosen])


def _card(one: Change) -> Card:
    strips = [(name, one.readings[name]) for name in ORDER if name in one.readings]
    strips = [(name, reading) for name, reading in strips if reading.steps]
    most = max((len(reading.steps) for _, reading in strips), default=0)
    drawn = Markup().join(_strip(name, reading) for name, reading in strips)
    rows = [_row(name, one.readings[name], one.scored) for name in ORDER if name in one.readings]
    return Card(
        one.uid, spelled(one.truth), data_uri(one.png, "png"), f"{NARROWEST * most:.4g}rem", drawn,
        _truth(one) + Markup().join(rows),
    )  # fmt: skip


def _truth(one: Change) -> Markup:
    """The truth; marked is what the wrong one of student and control did not read."""
    wrong = one.readings.get("control" if one.kind == HELPED else "student")
    missed, _ = differences(one.scored, wrong.text) if wrong else (set(), set())
    shown = one.truth if len(one.truth) == len(one.scored) else one.scored
    return Markup('<span>truth</span><span class="wanted">{}</span><span></span>').format(
        visible(shown, missed)
    )


def _row(name: str, reading: Reading, scored: str) -> Markup:
    """Who reads, what, and how sure; marked is what the truth does not have."""
    _, theirs = differences(scored, reading.text)
    text = visible(reading.text, theirs) if reading.text else Markup("<i>nothing</i>")
    key = f"key {name}" if reading.steps else ""
    return Markup('<span class="{}">{}</span><span>{}</span><span>{:.0f}</span>').format(
        key, name, text, 100 * reading.confidence
    )


def _strip(name: str, reading: Reading) -> Markup:
    said = " ".join(spelled(step.best) or "·" for step in reading.steps)
    cells = Markup().join(_cell(place, step) for place, step in enumerate(reading.steps, start=1))
    return Markup('<div class="strip {0}" role="img" aria-label="{0}, step by step: {1}">{2}</div>').format(
        name, said, cells
    )


def _cell(place: int, step: Step) -> Markup:
    note = f"step {place}: {_named(step.best)} {100 * step.share:.0f} %"
    second = Markup()
    if step.rest:
        note += f", {_named(step.second)} {100 * step.rest:.0f} %"
        second = Markup("<small>{}</small>").format(spelled(step.second) or "·")
    return Markup('<i{} style="--p:{:.2g}" title="{}">{}{}</i>').format(
        Markup("") if step.best != BLANK else Markup(' class="blank"'), step.share, note,
        spelled(step.best) or "·", second,
    )  # fmt: skip


def _named(sign: str) -> str:
    return spelled(sign) if sign != BLANK else "blank"
