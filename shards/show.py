"""One self-contained page that shows a data set: counts, lengths, shapes, characters, texts that splits
share, rejects, a sample of pictures with their words and polygons, and augmented views.

python -m shards.show data/words
python -m shards.show data/ic15 data/own out=both.html n=32
python -m shards.show data/words views=8 augment=strong

The page stands in the first folder, as show.html, unless out= says otherwise.
"""

import math
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shards import alphabet, census, charts, config, page, sheet, storage
from shards.augment import Augment
from shards.augment import Settings as Augmentation
from shards.census import Census
from shards.errors import BadSettings
from shards.image import ImageSpec
from shards.progress import Reporter, run
from shards.read import Shards, located
from shards.typed import check_ranges

SCENES = 4  # a scene takes the room of so many crops
VIEWED = 6  # samples whose views are shown
CHARACTERS = 8000  # listed at most
SAID = 30  # characters that the console names
STYLE = """
.cards img { image-rendering: auto; display: block; margin-bottom: .15rem }
.crop { max-width: 320px } .scenes { display: grid; gap: 1.4rem }
.scenes { grid-template-columns: repeat(auto-fill, minmax(28rem, 1fr)) }
svg.scene { width: 100%; display: block; border-radius: 3px }
.scene polygon { fill: none; stroke: #35d07f; stroke-width: 1.2; vector-effect: non-scaling-stroke }
.scene path { stroke: #35d07f; stroke-width: 3; vector-effect: non-scaling-stroke }
.scene .ignored polygon, .scene .ignored path { stroke: #ff7a59 }
.scene .ignored polygon { stroke-dasharray: 3 2 }
.scene text { fill: #fff; stroke: #000; stroke-width: 2.5px; paint-order: stroke; font-family: system-ui }
.letters { display: flex; flex-wrap: wrap; gap: .3rem }
.letter { border: 1px solid var(--faint); border-radius: 4px; padding: 0 .4rem }
.letters small { margin-left: .35em } .letter.rare { border-color: #e07b39; background: #e07b3922 }
.letter.absent { border-color: #d1495b; background: #d1495b2e }
.views { display: flex; flex-wrap: wrap; gap: .5rem; margin-bottom: .8rem }
"""
BODY = """
<p class="note">{{ sets|length }} splits · drawn with seed {{ seed }} · a text is compared without regard to
case</p>
<h2>Counts</h2>{{ table(count_names, counts) }}
<h3>Where it comes from</h3>{{ table(("set", "source", "licence", "uids begin with", "digest"), origins) }}
<h2>Shapes</h2><div class="charts">{% for chart in drawn %}{{ chart }}{% endfor %}</div>
<h2>Characters</h2>
<p>{{ "{:,}".format(letters|length) }} distinct{% if judged %}, counted in {{ judged }}.
<span class="letter rare">Rare</span> are the {{ rare_count }} that stand there fewer than {{ rare }} times
{%- if absent_count %}, <span class="letter absent">absent</span> the {{ absent_count }} that only other
splits have{% endif %}{% endif %}.
{% if unlisted %}The {{ unlisted }} rarest are not listed.{% endif %}</p>
<div class="letters">{% for letter in letters[:listed] %}
<span class="letter {{ letter.mark }}" title="{{ letter.name }}">{{ visible(letter.text) }}<small>
{{- "{:,}".format(letter.count) }}</small></span>{% endfor %}</div>
{% if missed is not none %}<h3>Not in the charset</h3>{{ table(missed_names, missed) }}{% endif %}
{% if overlap %}<h2>Texts in common</h2>
<p>How many distinct texts of the row's split stand in the column's split too, and their share.</p>
{{ table(overlap_names, overlap) }}{% endif %}
<h2>Left out</h2>
{% for name, rejects in left_out %}<h3>{{ name }}</h3>
{{ table(("reason", "rows", "the first of them"), rejects) }}{% else %}
<p>Every row of every listing was written.</p>{% endfor %}
{% for name, cards in sheets %}{% set few = cards[:shown] %}
<h2>{{ name }}: {{ few|length }} of {{ "{:,}".format(written[name]) }} samples</h2>
{% if few|selectattr("scene")|list %}<p class="note">The heavy edge is the first one of a polygon; broken
lines are words that are not legible.</p>{% endif %}
<div class="{{ 'scenes' if few|selectattr('scene')|list else 'cards' }}">
{% for card in few %}<figure{% if not card.scene %} class="crop"{% endif %} id="{{ card.uid }}">
{% if card.damage %}<b>damaged</b> <small>{{ card.damage }}</small>{% endif %}{{ card.picture }}
<figcaption>{{ card.caption }}</figcaption></figure>{% endfor %}</div>
{% endfor %}
{% for name, rows in viewed %}<h2>{{ name }}: views 0 to {{ views - 1 }}</h2>
<p class="note">{{ canvas }}. View 0 is the picture itself. {{ strengths }}</p>
{% for text, pictures in rows %}<figcaption>{{ visible(text) }}</figcaption><div class="views">
{% for picture in pictures %}<img alt="view {{ loop.index0 }}" src="{{ picture }}">{% endfor %}</div>
{% endfor %}{% endfor %}
"""


@dataclass
class Settings:
    """Which data, and what of it."""

    dirs: list[str] = field(default_factory=list, metadata={"positional": True})  # data set or split folders
    out: str = ""  # the page; default: show.html in the first folder
    n: int = 64  # samples drawn from each split; of scenes a quarter as many
    seed: int = 0  # of the draw
    rare: int = 10  # a character that stands fewer times than this is marked
    charset: str = ""  # an alphabet file, a character a line: what a model with it would miss is listed
    base: str = ""  # of that file: 0 = its first line is the blank's place, 1 = the first class
    views: int = 0  # views shown of a few samples, 0 = none; view 0 is the picture itself
    augment: Augmentation = field(default_factory=Augmentation)  # what makes a view; presets by name
    image: ImageSpec = field(default_factory=ImageSpec)  # the canvas of the views
    json: bool = False  # print the counts as JSON on the last line


def shapes(found: list[Census]) -> list[Any]:
    """The histograms."""
    return [
        charts.histogram("Length of the texts", {c.name: c.lengths for c in found}, "characters"),
        charts.histogram(
            "Width / height of the images", {c.name: c.aspects for c in found}, "width / height"
        ),
        charts.histogram("Width of the images", {c.name: c.width for c in found}, "pixels"),
        charts.histogram("Height of the images", {c.name: c.height for c in found}, "pixels"),
    ]


def counted(found: list[Census], settings: Settings) -> dict[str, Any]:
    """What the page says without pictures."""
    rows = [one.facts() for one in found]
    characters, judged = census.letters(found, settings.rare)
    marks = Counter(letter.mark for letter in characters)
    known = alphabet.read(Path(settings.charset), settings.base, "base") if settings.charset else None
    return {
        "missed": None if known is None else census.missed(found, known),
        "missed_names": ["character", "name", *(c.name for c in found)],
        "sets": found, "seed": settings.seed, "rare": settings.rare, "drawn": shapes(found),
        "count_names": ["set", *rows[0]],
        "counts": [[c.name, *row.values()] for c, row in zip(found, rows, strict=True)],
        "origins": [
            [c.name, c.manifest.source, c.manifest.licence, f"{c.manifest.dataset_id << 40:016x}"[:6],
             c.manifest.digest[:16]] for c in found
        ],
        "letters": characters, "judged": judged, "listed": CHARACTERS, "rare_count": marks["rare"],
        "absent_count": marks["absent"], "unlisted": max(0, len(characters) - CHARACTERS),
        "overlap_names": ["set", "distinct texts", *(f"in {c.name}" for c in found)],
        "overlap": census.overlaps(found) if len(found) > 1 else [],
        "left_out": [(c.name, [(r, n, "; ".join(rows)) for r, n, rows in c.left_out]) for c in found
                     if c.left_out],
        "written": {c.name: c.manifest.written for c in found},
    }  # fmt: skip


def pictured(places: list[tuple[Path, str]], found: list[Census], settings: Settings) -> dict[str, Any]:
    """The pictures of the page: contact sheets of all splits, views of the first split of each folder."""
    sheets, viewed, seen = [], [], set()
    image, change = settings.image, Augment(settings.augment)
    for (root, split), one in zip(places, found, strict=True):
        if not one.manifest.written:
            continue
        shards = Shards([root], split)
        scenes = bool((shards.column("words") != 1).any())
        most = -(-settings.n // SCENES) if scenes else settings.n
        sheets.append((one.name, sheet.cards(shards, most, settings.seed)))
        if settings.views and root not in seen:
            viewed.append(
                (one.name, sheet.views(shards, VIEWED, settings.seed, settings.views, image, change))
            )
        seen.add(root)
    strengths = ", ".join(f"{key} {value}" for key, value in vars(settings.augment).items() if value)
    canvas = f"Canvas {image.height}x{image.width}, {image.channels}, {image.fit}"
    return {
        "sheets": sheets,
        "viewed": viewed,
        "views": settings.views,
        "canvas": canvas,
        "strengths": strengths,
    }


def named(places: list[tuple[Path, str]]) -> list[str]:
    """What the page calls each split: the split alone where there is one folder, else folder/split."""
    roots = {root: root.resolve().name for root, _ in places}
    if len(roots) == 1:
        return [split for _, split in places]
    alike = len(set(roots.values())) < len(roots)
    return [f"{root if alike else roots[root]}/{split}" for root, split in places]


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "show", argv)
    if not settings.dirs:
        raise BadSettings("a folder of shards is needed: python -m shards.show DIR, for example data/own")
    check_ranges(settings, "", n=(0, math.inf), views=(0, math.inf), rare=(0, math.inf))
    places = list(dict.fromkeys(place for folder in settings.dirs for place in located(folder)))
    report = Reporter("shards.show", settings.json)
    report.header(dirs=", ".join(settings.dirs))
    found = []
    for place, name in zip(places, named(places), strict=True):
        report.line(f"counting {name}")
        found.append(census.count(*place, name))
    values = {**counted(found, settings), **pictured(places, found, settings)}
    title = f"Data: {', '.join(storage.place(folder).resolve().name for folder in settings.dirs)}"
    text = page.fitted(lambda shown: page.render(BODY, title, STYLE, shown=shown, **values), settings.n)
    out = storage.place(settings.out) if settings.out else storage.place(settings.dirs[0]) / "show.html"
    page.save(out, text)
    names = ("rows", "written", "rejected", "words", "without text", "illegible", "distinct texts")
    splits = {one.name: one.facts() for one in found}
    report.table(
        "counts", ["set", *names], [[set_, *(row[n] for n in names)] for set_, row in splits.items()]
    )
    if values["missed"] is not None:
        few = values["missed"][:SAID]
        report.table(f"not among the characters of {settings.charset}", values["missed_names"], few)
        report.result["missed"] = {row[0]: sum(row[2:]) for row in values["missed"]}
    report.say(f"{out} ({len(text.encode()) / 1e6:.2f} MB)")
    report.done(f"python -m shards.verify {' '.join(settings.dirs)}", page=str(out), splits=splits)


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
