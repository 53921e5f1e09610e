#!/usr/bin/env bash
# The whole path on rendered words: shards, a teacher, its cache, a student, its control, one table, one report.
# Every stage resumes: running this again goes on, or ends at once. SIZE=full|small, OUT=folder, PYTHON=interpreter.
set -euo pipefail
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
OUT=${OUT:-runs/demo}
case ${SIZE:-full} in
    full) words=20480 val=1024 test=2048 teacher=() student=() ;;
    small) words=512 val=64 test=64 teacher=(fit.epochs=2) student=(fit.epochs=2) ;;
    *) echo "SIZE=$SIZE: there are full and small" >&2; exit 2 ;;
esac
data=$OUT/data cache=$OUT/cache
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(nproc)} HF_HUB_OFFLINE=1
mkdir -p "$OUT"

stage() { # stage NAME COMMAND...: runs a command and notes its seconds, once it has worked
    local name=$1 begun=$SECONDS; shift
    printf '\n== %s: %s\n' "$name" "$*"
    "$@"
    echo "$name $((SECONDS - begun))" >> "$OUT/.seconds"
}
shard() { "$PYTHON" -m ingest.shard source=rendered name=demo out="$data" workers="$(nproc)" "$@"; }

: > "$OUT/.seconds"
stage shard_train shard split=train count=$words
stage shard_val shard split=val count=$val
stage shard_test shard split=test count=$test
stage teacher "$PYTHON" train/teacher.py experiment=demo_teacher run.root="$OUT" run.name=teacher data.root="$data" "${teacher[@]}"
stage record "$PYTHON" distill/record.py checkpoint="$OUT/teacher/best" data.root="$data" out="$cache" views=4
stage student "$PYTHON" distill/student.py experiment=demo_student run.root="$OUT" run.name=student data.root="$data" cache="$cache" "${student[@]}"
stage control "$PYTHON" distill/student.py experiment=demo_student method=none run.root="$OUT" run.name=student-control data.root="$data" cache="$cache" "${student[@]}"
stage evaluation "$PYTHON" -m train.evaluation checkpoint="$OUT/teacher/best,$OUT/student/best,$OUT/student-control/best" data.root="$data" latency=true out="$OUT/evaluation.json"
stage predict "$PYTHON" -m train.predict "$OUT/student/best" "$OUT/pictures"
stage report "$PYTHON" -m train.report "$OUT/teacher" "$OUT/student" "$OUT/student-control" out="$OUT/report.html" title="OCR Distillery demo"
