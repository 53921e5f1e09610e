"""A self-contained page about runs: table with intervals, curves, confident mistakes. Reads run folders only.

    python -m train.report runs/first
    python -m train.report runs/teacher runs/student runs/student-control out=report.html
    python -m train.report runs/first json=true

Nothing is loaded from elsewhere; the page opens without a network.
"""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from markupsafe import Markup

from shards import config
from shards.charts import Curve, lines
from shards.errors import BadData, BadSettings
from shards.manifest import read_json
from shards.page import fitted, render, save
from shards.progress import Reporter, run
from train.runfolder import read_metrics

EXAMPLES_SHOWN = 12
CURVES = (  # title, key of metrics.jsonl, whether its axis is logarithmic
    ("loss over the steps", "train/loss", True),
    ("validation word accuracy", "val/word_acc", False),
    ("validation CER", "val/cer", False),
    ("images per second", "perf/images_per_s", False),
)
RESULT = ("set", "model", "params", "mb", "word_acc", "one_minus_ned", "cer", "n", "verdict", "examples")
STYLE = """
figure.mistake { width: 9.5rem } .mistake img { width: 100%; image-rendering: pixelated }
ins { text-decoration: none; color: #1d9a4b } del { color: #d1495b; text-decoration: none }
"""
BODY = """
<h2>Results</h2>
{% if results %}<div class="wide"><table>
<tr><th>run<th>set<th>parameters<th>MB<th>word accuracy, % [95 %]<th>1-NED
<th>CER, %<th>ms/word<th>words<th>verdict</tr>
{% for r in results %}<tr><td>{{ r.run }}/{{ r.model }}<td>{{ r.set }}
<td>{{ "{:,}".format(r.params) }}<td>{{ "%.2f"|format(r.mb) }}
<td>{{ "%.2f [%.2f, %.2f]"|format(100*r.word_acc.value, 100*r.word_acc.low, 100*r.word_acc.high) }}
<td>{{ "%.4f"|format(r.one_minus_ned.value) }}<td>{{ "%.2f"|format(100*r.cer.value) }}
<td>{{ "%.2f"|format(r.ms_per_word) if r.ms_per_word is defined else "not measured" }}<td>{{ r.n }}
<td>{{ r.verdict }}{% if r.difference is defined %}
({{ "%+.2f [%+.2f, %+.2f] points"|format(100*r.difference, 100*r.low, 100*r.high) }})
{% endif %}</tr>
{% endfor %}</table></div>
<p><small>Intervals: Wilson for accuracy; the verdict is a
paired bootstrap against the control on the same words.</small></p>
{% else %}
<p>No evaluation yet: run <code>python -m train.evaluation</code> on a checkpoint of these runs.</p>
{% endif %}
<h2>Curves</h2><div class="charts">{% for curve in curves %}{{ curve }}{% endfor %}</div>
{% for r in results if r.examples %}
<h2>{{ r.run }}/{{ r.model }} on {{ r.set }}: confident mistakes</h2>
<p><small>What the model saw; <ins>truth</ins>, <del>reading</del>, confidence.</small></p>
<div class="cards">{% for e in r.examples[:shown] %}
<figure class="mistake"><img alt="{{ e.truth }}"
src="data:image/png;base64,{{ e.png }}">
<figcaption><ins>{{ visible(e.truth) }}</ins>
<del>{% if e.prediction %}{{ visible(e.prediction) }}{% else %}(nothing){% endif %}</del>
{{ "%.2f"|format(e.score) }}</figcaption></figure>
{% endfor %}</div>
{% endfor %}
<h2>Runs</h2>{% for r in runs %}<p><b>{{ r.name }}</b>: {{ r.state }} {{ r.reason }}</p>
<details><summary>settings</summary><pre>{{ r.config }}</pre></details>{% endfor %}
"""


@dataclass
class Settings:
    """Which runs, and where the page goes."""

    runs: list[str] = field(default_factory=list, metadata={"positional": True})  # run folders
    out: str = ""  # default: report.html in the first run folder
    title: str = "OCR Distillery report"  # heading of the page
    json: bool = False  # print the result as JSON on the last line


def page(folders: list[Path], title: str) -> str:
    """The page as HTML, with as many examples as it has room for."""
    runs, results = [], []
    for folder in folders:
        status = read_json(folder / "status.json")
        text = (folder / "config.yaml").read_text() if (folder / "config.yaml").exists() else ""
        runs.append({"name": folder.name, "config": text, "state": "unknown", "reason": "", **status})
        for path in sorted((folder / "eval").glob("*.json")):
            results.append({**_result(path), "run": folder.name})
    told = {"runs": runs, "results": results, "curves": _curves(folders)}
    return fitted(lambda shown: render(BODY, title, STYLE, shown=shown, **told), EXAMPLES_SHOWN)


def _result(path: Path) -> dict[str, Any]:
    """What an evaluation wrote; BadData names what is missing."""
    found = read_json(path)
    lacking = [key for key in RESULT if key not in found]
    if lacking:
        raise BadData(f"{path}: no {', '.join(lacking)}; run train.evaluation again")
    return found


def _curves(folders: list[Path]) -> list[Markup]:
    """A chart for every key that a run has logged, with a line per run."""
    alike = len({folder.name for folder in folders}) < len(folders)
    logged = {str(folder) if alike else folder.name: read_metrics(folder) for folder in folders}
    charts = []
    for title, key, log in CURVES:
        drawn = {name: _points(found, key) for name, found in logged.items()}
        if any(xs for xs, _ in drawn.values()):
            charts.append(lines(title, drawn, "optimiser step", log))
    return charts


def _points(logged: list[dict[str, Any]], key: str) -> Curve:
    found = [(line["global_step"], line[key]) for line in logged if isinstance(line.get(key), int | float)]
    return [step for step, _ in found], [value for _, value in found]


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "report", argv)
    folders = [Path(path) for path in settings.runs]
    if not folders:
        raise BadSettings("at least one run folder is needed: python -m train.report runs/first")
    for folder in folders:
        if not (folder / "status.json").exists():
            raise BadData(f"{folder}: no status.json, so not a run folder")
    out = Path(settings.out) if settings.out else folders[0] / "report.html"
    text = page(folders, settings.title)
    save(out, text)
    report = Reporter("train.report", settings.json)
    report.say(f"{out} ({len(text) / 1e6:.2f} MB)")
    report.done(report=str(out), runs=[str(f) for f in folders])


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
