#!/usr/bin/env bash
# The whole path on rendered data: shards, a teacher, its cache, a student, its control, one table, one report.
# Every stage resumes: running this again goes on, or ends at once.
# TASK=recognise|detect, SIZE=full|small, OUT=folder, PYTHON=interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
OUT=${OUT:-runs/demo}
OUT=${OUT%/}
case ${TASK:-recognise}/${SIZE:-full} in
    recognise/full) words=20480 val=1024 test=2048 rows=2560 epochs=() ;;
    recognise/small) words=512 val=64 test=64 rows=256 epochs=(fit.epochs=1) ;;
    detect/full) words=2048 val=256 test=512 rows=512 epochs=() ;;
    detect/small) words=48 val=16 test=16 rows=16 epochs=(fit.epochs=1) ;;
    *) echo "TASK=${TASK:-recognise} SIZE=${SIZE:-full}: there are recognise and detect, full and small" >&2; exit 2 ;;
esac
case ${TASK:-recognise} in
    recognise) kind=demo source=() recorded=(views=4) what="words that training never saw" ;;
    detect)
        kind=demo_scenes recorded=(batch=32) what="scenes that training never saw"
        source=(level=scenes scene_width=320 scene_height=320 min_word_height=.05 max_words=6) ;;
esac
data=$OUT/data cache=$OUT/cache
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)} HF_HUB_OFFLINE=1 LC_ALL=C.UTF-8
mkdir -p "$OUT"

stage() { # stage NAME COMMAND...: runs a command and notes its seconds, the first time that it works
    local name=$1 begun=$EPOCHREALTIME; shift
    printf '\n== %s: %s\n' "$name" "$*"
    "$@"
    grep -qs "^$name " "$OUT/.seconds" || awk "BEGIN{print \"$name\", $EPOCHREALTIME-$begun}" >> "$OUT/.seconds"
}
shard() {
    "$PYTHON" -m ingest.shard source=rendered name=demo out="$data" vocabulary=25000 strength=.5 rows_per_shard=$rows "${source[@]}" "$@"
}
train() { # train ENTRY NAME SETTINGS...
    local entry=$1 name=$2; shift 2
    "$PYTHON" "$entry" run.root="$OUT" run.name="$name" data.root="$data" "$@" "${epochs[@]}"
}

stage shard_train shard split=train count=$words
stage shard_val shard split=val count=$val
stage shard_test shard split=test count=$test
stage teacher train train/teacher.py teacher experiment=${kind}_teacher
stage record "$PYTHON" distill/record.py checkpoint="$OUT/teacher/best" data.root="$data" out="$cache" "${recorded[@]}"
# Student and control begin with the same weights, so that the verdict is about the teacher, not about a lucky start.
stage start train train/teacher.py start experiment=${kind}_start
# The control comes first, so that the student can tell which words its teacher changed.
stage control train distill/student.py student-control experiment=${kind}_student method=none cache="$cache" init_from="$OUT/start/last"
stage student train distill/student.py student experiment=${kind}_student cache="$cache" init_from="$OUT/start/last"
case ${TASK:-recognise} in
    recognise) stage predict "$PYTHON" -m train.predict "$OUT/student/best" "$data/test" limit=8 ;;
    detect) stage predict "$PYTHON" -m train.predict "$OUT/teacher/best" "$data/test" recogniser=words limit=8 \
        drawn="$OUT/drawn" out="$OUT/words.json" index="$OUT/photos.db" ;;
esac
fresh() { # fresh FILE: made after all three models
    [ "$1" -nt "$OUT/teacher/best" ] && [ "$1" -nt "$OUT/student/best" ] && [ "$1" -nt "$OUT/student-control/best" ]
}
fresh "$OUT/evaluation.json" || stage evaluation "$PYTHON" -m train.evaluation checkpoint="$OUT/teacher/best,$OUT/student/best,$OUT/student-control/best" \
    data.root="$data" latency=true out="$OUT/evaluation.json"
fresh "$OUT/report.html" || stage report "$PYTHON" -m train.report "$OUT/teacher" "$OUT/student" "$OUT/student-control" \
    out="$OUT/report.html" title="OCR Distillery demo"

"$PYTHON" - "$OUT" "$what" <<'PYTHON'
import json, pathlib, sys

from shards.progress import Reporter
from train.headings import Heading

out = pathlib.Path(sys.argv[1])
models = json.loads((out / "evaluation.json").read_text())["models"]
runs = {"teacher": "teacher", "student": "student", "control": "student-control"}
summary = {name: models[f"{out}/{run}/best"] for name, run in runs.items()}
summary["verdict"] = summary["student"]["verdict"]
lines = (out / ".seconds").read_text().split("\n")
summary["seconds"] = {name: round(float(s), 1) for name, s in (line.split() for line in lines if line)}
(out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
headings = [Heading(**one) for one in summary["student"]["headings"]][:4]
rows = []
for name in runs:
    m = summary[name]
    figures = [m[h.name] for h in headings]
    shown = [h.shown(f["value"]) for h, f in zip(headings, figures)]
    shown[0] += " " + headings[0].between(figures[0]["low"], figures[0]["high"])
    verdict = m["verdict"] if name == "student" else ""
    rows.append((name, f"{m['params']:,}", f"{m['mb']:.2f}", *shown, f"{m['ms_per_image']:.2f}", verdict))
print()
columns = ["model", "params", "MB", f"{headings[0].title} [95 %]", *(h.title for h in headings[1:]), "ms/image", "verdict"]
Reporter("demo").table(f"{summary['student']['n']} {sys.argv[2]}", columns, rows)
print(f"\nstudent against its control: {summary['verdict']}; {sum(summary['seconds'].values()):.0f} s in all")
print(f"report: {out / 'report.html'}\nsummary: {out / 'summary.json'}")
PYTHON
