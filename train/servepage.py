"""The page to try a served model on, and the list of addresses; neither loads anything from elsewhere.

What runs on the page is `servepage.js`; the browser is told to run nothing else.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from shards.page import render

SCRIPT = Path(__file__).with_name("servepage.js")
STYLE = """
h1 { margin: 0 0 .4rem } h2 { overflow-wrap: anywhere } section h2 { margin: 0 0 .5rem }
body { margin-top: 1.2rem }
.drop { display: block; padding: 1.1rem; border: 2px dashed var(--faint); border-radius: 8px;
  text-align: center }
.drop.over, .drop:focus-within { border-color: Highlight; background: var(--soft) }
.drop input { display: block; margin: .7rem auto 0; max-width: 100%; font: inherit }
#said { min-height: 1.5em; margin: .7rem 0; overflow-wrap: anywhere } #said.wrong { font-weight: 600 }
#answers { display: grid; gap: 1.6rem;
  grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)) }
section { min-width: 0 }
.picture { display: grid; background: var(--soft); border-radius: 6px; overflow: hidden }
.picture > * { grid-area: 1 / 1; width: 100%; height: 100%; max-height: 66vh; object-fit: contain }
.picture img { max-height: 66vh; border-radius: 0 }
polygon { fill: rgb(0 110 255 / .06); stroke: #06f; stroke-width: 2; vector-effect: non-scaling-stroke }
polygon.chosen { fill: rgb(224 169 0 / .45); stroke: #e0a900; stroke-width: 3 }
svg text { font-family: system-ui, sans-serif; font-weight: 600; fill: #fff; stroke: #014;
  paint-order: stroke; stroke-width: .22em; stroke-linejoin: round }
.words { list-style: none; display: flex; flex-wrap: wrap; gap: .35rem .5rem; padding: 0; margin: .7rem 0 }
.words li { padding: .15rem .5rem; border: 1px solid var(--faint); border-radius: 5px;
  overflow-wrap: anywhere }
.words li:focus-visible, button:focus-visible { outline: 2px solid Highlight; outline-offset: 1px }
.words bdi { font-size: 1.1rem } .words small { color: inherit; opacity: .75; margin-left: .4em;
  white-space: nowrap }
.words span { background: rgb(224 140 0 / calc((1 - var(--sure)) * .95)); border-radius: 2px }
textarea { width: 100%; font: inherit; padding: .4rem .5rem; border-radius: 5px; resize: vertical }
button { font: inherit; padding: .25rem .9rem; margin-top: .3rem }
label.text { display: block; font-size: .87rem }
"""
TRYING = """
<main>
<p class="note">{{ names | join(", ") }} read{{ "s" if names | length == 1 }} here: the picture goes to this
server alone, and it keeps none. <a href="/docs">All addresses</a></p>
<label class="drop" id="drop">Drop a photograph here, paste one, or choose it:
<input type="file" id="file" accept="image/*"></label>
<p id="said" role="status" aria-live="polite"></p>
<div id="answers"></div>
<p class="note" id="legend" hidden>The more orange a character, the less sure the model is of it.</p>
<template id="answer"><section>
<h2></h2>
<div class="picture"><img alt=""><svg xmlns="http://www.w3.org/2000/svg" aria-hidden="true"></svg></div>
<ul class="words" aria-label="Words"></ul>
<label class="text">Text <textarea readonly rows="2"></textarea></label>
<button type="button">Copy the text</button>
</section></template>
</main>
<script>{{ script }}</script>
"""
LISTING = """
<main><p class="note"><a href="/">Try it</a> &middot; <a href="/openapi.json">openapi.json</a></p>
{% for path, method, said, takes, answers in found %}
<h2>{{ method }} <code>{{ path }}</code></h2>
<p>{{ said }}{% if takes %} Takes <code>{{ takes | join(", ") }}</code>.{% endif %}</p>
{{ table(("status", "means"), answers) }}
{% endfor %}</main>
"""


def trying(names: Sequence[str]) -> str:
    """The page on which these models read a picture."""
    return render(TRYING, "OCR Distillery", STYLE, names=names, script=Markup(SCRIPT.read_text("utf-8")))


def listing(openapi: dict[str, Any]) -> str:
    """Every address of an OpenAPI description: what it takes, and what its statuses mean."""
    found = [
        (path, method.upper(), told["description"], list(told.get("requestBody", {}).get("content", ())),
         sorted((code, answer["description"]) for code, answer in told["responses"].items()))
        for path, methods in openapi["paths"].items() for method, told in methods.items()
    ]  # fmt: skip
    return render(LISTING, f"{openapi['info']['title']} {openapi['info']['version']}", STYLE, found=found)


def policy(page: str) -> str:
    """The Content-Security-Policy of a page: its own style and script, this server, and local pictures."""
    style, script = (_hashes(page, tag) for tag in ("style", "script"))
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; img-src 'self' blob: data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _hashes(page: str, tag: str) -> str:
    inside = re.findall(f"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in inside]
    return " ".join(f"'sha256-{one}'" for one in digests) or "'none'"
