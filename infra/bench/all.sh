#!/usr/bin/env bash
# Every benchmark, one after another, into one Markdown file: about 30 minutes on two idle cores.
#   bash infra/bench/all.sh bench.md          SIZE=small: a few words each, to see that all works
# What real data there is below OCR_REAL_DATA (default: ../shared/data) is used; a GPU, where there is one.
set -uo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
out=$(realpath -m "${1:-bench.md}")
real=$(realpath -m "${OCR_REAL_DATA:-../shared/data}")
export PYTHONPATH=$PWD${PYTHONPATH:+:$PYTHONPATH} HF_HUB_OFFLINE=1
case ${SIZE:-full} in
    full) words=() training=() cache=() decoders=() hmean=() scale=() serving=() ;;
    small) words=(count=64 rounds=1) training=(batch=16 steps=2 rounds=1) cache=(chunks=2 rows=64 rounds=1) decoders=(lines=512 words=500 rounds=1) hmean=(images=8 rounds=1) scale=(rows=16384 shards=2) serving=(requests=16 rounds=1) ;;
    *) echo "SIZE=$SIZE: there are full and small" >&2; exit 2 ;;
esac
code=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$(dirname "$out")"
echo "## Benchmarks at $(git describe --always --dirty 2>/dev/null || echo an unknown commit)" > "$out"

bench() { # bench SCRIPT ARGUMENTS...: its tables, below the command that makes them
    printf '\n`python infra/bench/%s`\n\n' "$*" >> "$out"
    printf '== %s\n' "$*"
    if ! "$PYTHON" "infra/bench/$1" "${@:2}" >> "$out" 2> "$work/said"; then
        printf 'FAILED: %s\n' "$(tail -n 1 "$work/said")" | tee -a "$out"
        code=1
    fi
}

bench loader.py "${words[@]}"
bench sharding.py "${words[@]}"
bench training.py "${training[@]}"
if "$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())'; then
    for precision in fp32 bf16; do
        bench training.py model=crnn batch=1024 steps=50 workers=0,8 augment=light precision=$precision "${training[@]}"
    done
fi
bench buckets.py "${training[@]}"
bench cache.py "${cache[@]}"
bench student.py "${training[@]}"
bench decoders.py "${decoders[@]}"
bench hmean.py "${hmean[@]}"
bench scale.py "${scale[@]}"
bench serving.py "${serving[@]}"
weights=$real/weights/crnn_small_student_3.pt
if [ -f "$weights" ]; then # a published teacher; beside a student as large, both run at the same efficiency
    printf '\n`python -m train.checkpoint format=crnn_pytorch weights=%s out=crnn_small_student_3`\n' "${weights##*/}" >> "$out"
    "$PYTHON" -m train.checkpoint format=crnn_pytorch weights="$weights" out="$work/crnn_small_student_3" > /dev/null
    bench student.py teacher="$work/crnn_small_student_3" "${training[@]}"
    bench student.py teacher="$work/crnn_small_student_3" model=crnn_small "${training[@]}"
fi
sed -i "s#$work/##g" "$out"
echo "written: $out"
exit "$code"
