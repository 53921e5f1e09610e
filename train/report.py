"""A self-contained page about runs: table with intervals, curves, confident mistakes. Reads run folders only.

    python -m train.report runs/first
    python -m train.report runs/teacher runs/student runs/student-control out=report.html
    python -m train.report runs/first json=true

Nothing is loaded from elsewhere; the page opens without a network.
"""

import base64
import io
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shards import config
from shards.errors import BadData, BadSettings
from shards.manifest import read_json, write_bytes
from shards.progress import Reporter, run
from train.runfolder import read_metrics

EXAMPLES_SHOWN = 12
LARGEST = 5_000_000  # bytes of a page; it then shows fewer examples
CURVES = (
    ("loss over the steps", ("train/loss",), "log"),
    ("validation word accuracy", ("val/word_acc",), "linear"),
    ("validation CER", ("val/cer",), "linear"),
    ("images per second", ("perf/images_per_s",), "linear"),
)
RESULT = ("set", "model", "params", "mb", "word_acc", "one_minus_ned", "cer", "n", "verdict", "examples")
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{{ title }}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem }
body { color: #1c1c1e; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.15rem; margin-top: 2.2rem }
.wide { overflow-x: auto } table { border-collapse: collapse; font-variant-numeric: tabular-nums }
th, td { padding: .35rem .8rem .35rem 0; text-align: right; white-space: nowrap }
th, td { border-bottom: 1px solid #e3e3e8 }
th:first-child, td:first-child { text-align: left } th { font-weight: 600; color: #555 }
small { color: #666 }
.curves { display: grid; grid-template-columns: repeat(auto-fit, minmax(24rem, 1fr)); gap: 1rem }
.curves img { width: 100% } .cards { display: flex; flex-wrap: wrap; gap: .9rem }
figure { margin: 0; width: 9.5rem } figure img { width: 100%; image-rendering: pixelated; border-radius: 3px }
figcaption { font-size: .85rem; line-height: 1.35 }
ins { text-decoration: none; color: #0a6b2d } del { color: #b3261e; text-decoration: none }
</style>
<h1>{{ title }}</h1>
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
<h2>Curves</h2><div class="curves">{% for c in curves %}
<img alt="{{ c.title }}" src="data:image/png;base64,{{ c.png }}">{% endfor %}</div>
{% for r in results if r.examples %}
<h2>{{ r.run }}/{{ r.model }} on {{ r.set }}: confident mistakes</h2>
<p><small>What the model saw; <ins>truth</ins>, <del>reading</del>, confidence.</small></p>
<div class="cards">{% for e in r.examples[:shown] %}
<figure><img alt="{{ e.truth }}"
src="data:image/png;base64,{{ e.png }}">
<figcaption><ins>{{ e.truth }}</ins> 
<del>{{ e.prediction or "(nothing)" }}</del> {{ "%.2f"|format(e.score) }}</figcaption></figure>
{% endfor %}</div>
{% endfor %}
<h2>Runs</h2>{% for r in runs %}<p><b>{{ r.name }}</b>: {{ r.state }} {{ r.reason }}</p>
<details><summary>settings</summary><pre>{{ r.config }}</pre></details>{% endfor %}
</html>
"""


@dataclass
class Settings:
    """Which runs, and where the page goes."""

    runs: list[str] = field(default_factory=list, metadata={"positional": True})  # run folders
    out: str = ""  # default: report.html in the first run folder
    title: str = "OCR Distillery report"  # heading of the page
    json: bool = False  # print the result as JSON on the last line


def page(folders: list[Path], title: str) -> str:
    """The page as HTML, at most LARGEST bytes if fewer examples can do it; text from files is escaped."""
    from jinja2 import Environment

    runs, results = [], []
    for folder in folders:
        status = read_json(folder / "status.json")
        text = (folder / "config.yaml").read_text() if (folder / "config.yaml").exists() else ""
        runs.append({"name": folder.name, "config": text, "state": "unknown", "reason": "", **status})
        for path in sorted((folder / "eval").glob("*.json")):
            results.append({**_result(path), "run": folder.name})
    curves = [c for title_, keys, scale in CURVES if (c := _curve(folders, title_, keys, scale))]
    template, shown = Environment(autoescape=True).from_string(PAGE), EXAMPLES_SHOWN
    while True:
        text = template.render(title=title, runs=runs, results=results, curves=curves, shown=shown)
        if len(text.encode()) <= LARGEST or not shown:
            return text
        shown //= 2


def _result(path: Path) -> dict[str, Any]:
    """What an evaluation wrote; BadData names what is missing."""
    found = read_json(path)
    lacking = [key for key in RESULT if key not in found]
    if lacking:
        raise BadData(f"{path}: no {', '.join(lacking)}; run train.evaluation again")
    return found


def _curve(folders: list[Path], title: str, keys: tuple[str, ...], scale: str) -> dict[str, Any] | None:
    """One figure with a line per run; None where no run has logged any of the keys."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(5.6, 3.2), dpi=110)
    drawn = False
    for folder in folders:
        lines = read_metrics(folder)
        for key in keys:
            points = [
                (line["global_step"], line[key]) for line in lines if isinstance(line.get(key), int | float)
            ]
            if points:
                axes.plot(*zip(*points, strict=True), label=folder.name, linewidth=1.4)
                drawn = True
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("optimiser step", fontsize=9)
    axes.set_yscale(scale)
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    if drawn:
        axes.legend(fontsize=8, frameon=False)
    file = io.BytesIO()
    figure.tight_layout()
    figure.savefig(file, format="png")
    pyplot.close(figure)
    return {"title": title, "png": base64.b64encode(file.getvalue()).decode()} if drawn else None


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
    out.parent.mkdir(parents=True, exist_ok=True)
    text = page(folders, settings.title)
    write_bytes(out, text.encode())
    report = Reporter("train.report", settings.json)
    report.say(f"{out} ({len(text) / 1e6:.2f} MB)")
    report.done(report=str(out), runs=[str(f) for f in folders])


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
