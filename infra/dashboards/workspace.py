"""The wandb workspace of this project, in code: made anew by one command, the same for everybody.

    python infra/dashboards/workspace.py project=ocr-distillery entity=my-team
    python infra/dashboards/workspace.py project=ocr-distillery entity=my-team name="Students"
    python infra/dashboards/workspace.py keys=true

Needs the extra `wandb` and a key (WANDB_API_KEY). `keys=true` prints the metrics it shows and needs neither.
"""

import os
import sys

SECTIONS = {
    "Accuracy": {
        "word accuracy": ["val/word_acc", "val/word_acc_ics"],
        "characters": ["val/cer", "val/one_minus_ned"],
        "edit distance": ["val/edit_distance_mean", "val/edit_distance_normalised"],
    },
    "Training": {
        "loss": ["train/loss", "train/task"],
        "learning rate": ["train/lr"],
        "gradient norm": ["train/grad_norm"],
        "blank rate": ["train/blank_rate"],
    },
    "Health": {
        "steps skipped, gradient not finite": ["ctc/nonfinite"],
        "labels longer than the model can spell": ["train/infeasible"],
        "damaged samples": ["data/damaged", "val/damaged"],
    },
    "Speed": {
        "images per second": ["perf/images_per_s"],
        "share of time waiting for data": ["perf/data_wait_frac"],
    },
    "Mistakes": {"worst readings": ["mistakes"], "confusion": ["confusion"]},
}
TERMS = "train/(?!lr|grad_norm|blank_rate|infeasible).*"  # losses by term, a student's methods too
AXIS = "global_step"


def keys() -> list[str]:
    """Every metric that a panel shows."""
    return [key for panels in SECTIONS.values() for shown in panels.values() for key in shown]


def workspace(project: str, entity: str, name: str):
    """The workspace, not yet saved."""
    import wandb_workspaces.reports.v2 as panels
    import wandb_workspaces.workspaces as spaces

    def panel(title: str, shown: list[str]):
        if shown == ["mistakes"]:
            return panels.WeavePanelSummaryTable(table_name="mistakes")
        if shown == ["confusion"]:
            return panels.MediaBrowser(media_keys=shown)
        return panels.LinePlot(title=title, x=AXIS, y=list(shown))

    sections = [
        spaces.Section(name=title, panels=[panel(*item) for item in shown.items()], is_open=True)
        for title, shown in SECTIONS.items()
    ]
    terms = panels.LinePlot(title="loss by term", x=AXIS, metric_regex=TERMS)
    sections[1].panels.insert(1, terms)
    return spaces.Workspace(name=name, entity=entity, project=project, sections=sections)


def main(argv: list[str]) -> int:
    """Makes the workspace online and prints where it stands."""
    if {"-h", "--help"} & set(argv):
        print(__doc__)
        return 0
    given = dict(argument.partition("=")[::2] for argument in argv)
    known = {"project": "ocr-distillery", "entity": "", "name": "OCR Distillery", "keys": "false"}
    if strange := sorted(set(given) - set(known)):
        print(f"error: no {strange[0]!r} (there are: {', '.join(known)})", file=sys.stderr)
        return 2
    chosen = known | given
    if chosen["keys"] == "true":
        print("\n".join(keys()))
        return 0
    if not chosen["entity"] or not os.environ.get("WANDB_API_KEY"):
        print("error: entity= and WANDB_API_KEY are needed: the workspace is kept online", file=sys.stderr)
        return 2
    try:
        space = workspace(chosen["project"], chosen["entity"], chosen["name"])
    except ImportError:
        print("error: needs wandb-workspaces: pip install 'ocr-distillery[wandb]'", file=sys.stderr)
        return 2
    space.save()
    print(space.url)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
