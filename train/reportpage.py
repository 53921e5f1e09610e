"""The page of train.report: its style, its template, and what stands in it, from the accounts of runs."""

from collections.abc import Sequence

from shards.page import fitted, render
from train import comparison, curves, misread, mistakes, roles, standing, strips
from train.account import Account
from train.results import Figure

STYLE = """
nav { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem } nav a { color: LinkText }
.results td, .results th { vertical-align: top } .results td small { display: block }
.results td + td small { white-space: nowrap }
.results th:last-child, .results td:last-child { text-align: left; min-width: 10rem; max-width: 26rem }
.results td:first-child { overflow-wrap: anywhere; min-width: 7rem }
.loud { border-left: .3rem solid #e07b39; padding: .1rem 0 .1rem .8rem; margin: .6rem 0 }
.charts { margin: 1rem 0 } details { margin: .5rem 0 } summary { cursor: pointer }
pre { overflow-x: auto; background: var(--soft); padding: .6rem .8rem; border-radius: 4px }
.small { grid-template-columns: repeat(auto-fit, minmax(min(15rem, 100%), 1fr)) }
@media (min-width: 40rem) { .small .chart text { font-size: 16px } .small .chart .line { stroke-width: 2.6 } }
.results.close th + th:last-child, .results.close td + td:last-child { text-align: right; min-width: 0 }
td.text { overflow-wrap: anywhere } td.text:first-child { overflow-wrap: break-word }
"""
BODY = """
{% macro share(found, shown="%.2f", times=100) %}{% if found %}{{ shown|format(times * found.value) }}
{%- if found.low is not none %}
<small class="note">[{{ shown|format(times * found.low) }}, {{ shown|format(times * found.high) }}]</small>
{%- endif %}{% else %}–{% endif %}{% endmacro %}
<nav aria-label="parts of this page"><a href="#results">Results</a><a href="#curves">Curves</a>
{% for one in changes %}
<a href="#changes-{{ loop.index }}">What distillation changed: {{ visible(one.name) }}</a>
{% endfor %}
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
{% for one in taught %}
<p class="note"><b>{{ visible(one.student) }}</b> is a student of {{ visible(one.teachers) }}
{%- if one.methods %} by {{ visible(one.methods) }}{% endif %}
{%- if one.control %}; its control is {{ visible(one.control) }}
{%- if not one.here %}, not on this page{% endif %}{% endif %}.</p>
{% endfor %}
{% for set in sets %}
<h3>{{ visible(set.name) }}</h3>
<p class="note">{{ "{:,}".format(set.n) }} samples{% if set.data %}, data {{ set.data }}{% endif %}</p>
<div class="wide"><table class="results"><thead>
<tr><th scope="col">model</th>
{%- for heading in set.headings %}<th scope="col">{{ heading.title }}</th>{% endfor %}
{%- for column in columns %}<th scope="col">{{ column }}</th>{% endfor %}</tr></thead><tbody>
{% for r in set.results %}<tr><td>{{ visible(r.name) }}
{%- for role in (roles.get(r.run), roles.get(r.name)) if role %}
 <small class="note">{{ visible(role) }}</small>{% endfor %}
{%- if r.damaged %} <small class="note">{{ r.damaged }} damaged, counted as missed</small>{% endif %}</td>
{% for h in set.headings %}<td>{{ share(r.figures.get(h.name), "%." ~ h.digits ~ "f", h.times) }}</td>
{% endfor %}
<td>{{ "{:,}".format(r.params) }}</td><td>{{ "%.2f"|format(r.mb) }}</td>
<td>{% if r.ms_per_image is none %}<span class="note">not measured</span>
{%- else %}{{ "%.2f"|format(r.ms_per_image) }}{% endif %}</td>
<td>{{ r.verdict }}</td></tr>
{% endfor %}</tbody></table></div>
{% for reason in set.reasons %}<p class="loud">{{ reason }}</p>{% endfor %}
{% if set.sources %}<h4>{{ set.headings[0].title|capitalize }} by data set</h4>{{ table(*set.sources) }}
{% endif %}
{% for r in set.results if r.fidelity %}
{% if loop.first %}<h4>Closeness to the teacher, step by step</h4>
<div class="wide"><table class="results close"><thead>
<tr>{% for column in closeness %}<th scope="col">{{ column }}</th>{% endfor %}</tr></thead><tbody>{% endif %}
<tr><td>{{ visible(r.name) }} <small class="note">to {{ visible(r.fidelity.teacher) }}</small></td>
{%- if r.fidelity.why %}<td colspan="4">{{ visible(r.fidelity.why) }}</td>{% else %}
<td>{{ share(r.fidelity.figures.agreement) }}</td><td>{{ share(r.fidelity.figures.blank) }}</td>
<td>{{ share(r.fidelity.figures.kl, "%.3f", 1) }}</td>
<td>{{ share(r.fidelity.figures.peak_shift, "%.2f", 1) }}</td>{% endif %}</tr>
{% if loop.last %}</tbody></table></div>{% endif %}{% endfor %}
{% if set.charts %}<div class="charts">{% for chart in set.charts %}{{ chart }}{% endfor %}</div>{% endif %}
{% if set.lengths %}<details><summary>Word accuracy by length, as a table</summary>{{ table(*set.lengths) }}
</details>{% endif %}
{% endfor %}
{% if sets %}<p class="note">In brackets: 95 % intervals, Wilson's for accuracies, else of a bootstrap over
samples. Verdicts: the difference in percent points, paired bootstrap on the same samples.</p>{% endif %}
{% if unevaluated %}
<h3>Not evaluated yet</h3>{{ table(*unevaluated) }}
{% if command %}<p>Next: <code>{{ command }}</code></p>{% endif %}
{% endif %}

<h2 id="curves">Curves</h2>
{% for group in curves %}
<h3>{{ group.title }}</h3>
<div class="charts{{ " small" if group.small }}">{% for chart in group.charts %}{{ chart }}{% endfor %}</div>
{% else %}<p>Nothing has been logged yet.</p>
{% endfor %}
{% if zero %}<p class="note">0 all the time: {{ zero|join("; ") }}.</p>{% endif %}

"""
REST = """
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
MOST = mistakes.EXAMPLES  # pictures of a kind
RESULTS = ("parameters", "MB", "ms/image", "verdict")
CLOSENESS = (
    "model", "same best class, % of steps", "same blanks, %", "KL, nats per step", "peak shift, steps",
)  # fmt: skip


def draw(accounts: Sequence[Account], title: str) -> str:
    """The page as HTML, with as many examples as it has room for."""
    (drawn, zero), known = curves.draw(accounts), roles.models(accounts)
    told = {
        "accounts": accounts, "sets": comparison.sets(accounts),
        "unevaluated": comparison.unevaluated(accounts), "command": comparison.command(accounts),
        "curves": drawn, "zero": zero, "wrongs": misread.draw(accounts), "states": standing.states(accounts),
        "untaught": standing.untaught(accounts), "damage": standing.damage(accounts),
        "data": standing.data(accounts), "differing": standing.differing(accounts),
        "columns": RESULTS, "closeness": CLOSENESS, "changes": strips.draw(accounts),
        "taught": roles.taught(accounts, known), "roles": roles.roles(accounts, known),
    }  # fmt: skip
    body, style = BODY + strips.BODY + misread.BODY + REST, STYLE + strips.STYLE + misread.STYLE
    return fitted(lambda shown: render(body, title, style, shown=shown, **told), MOST)


def percent(found: Figure) -> str:
    """A share as a table on the terminal shows it."""
    value, low, high = (100 * share for share in found.between)
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"
