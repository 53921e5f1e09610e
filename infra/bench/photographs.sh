#!/usr/bin/env bash
# How well a small detector finds the words of real photographs: learnt on drawn scenes, then on ICDAR2015's.
#   bash infra/bench/photographs.sh WORK RAW RECOGNISER
# RAW: ICDAR2015's folder for `ingest.shard source=icdar2015`; RECOGNISER: a model folder. About two hours of one core;
# what is done is not done again. Ends with both protocols, both models timed, and a page with every test picture.
set -euo pipefail
work=$1 raw=$2 recogniser=$3
PYTHON=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
runs=$work/runs
seen=(image.channels=rgb image.fit=letterbox)
learn=(fit.precision=bf16 seed=0 run.root="$runs")
parts=$("$PYTHON" -c 'print(*(f"layer{n}" for n in (*range(11), 13, 14, 17, 18, 20, 21, 23)), "head", sep=",")')

drawn() { # drawn NAME COUNT SETTINGS...: scenes of 320x320 pixels
    for split in train val; do
        "$PYTHON" -m ingest.shard source=rendered level=scenes out="$work/$1" split=$split count="$2" \
            scene_width=320 scene_height=320 "${@:3}"
    done
}

drawn large 2048 max_words=6 min_word_height=.05 strength=.5
drawn small 5000 max_words=14 min_word_height=.022 max_word_height=.13 min_length=1 max_length=10 digits=.15 strength=1.2
"$PYTHON" -m ingest.shard source=icdar2015 root="$raw" level=scenes split=train,test out="$work/real"

"$PYTHON" train/teacher.py task=boxes model=yolo_n augment=scene image.height=256 image.width=256 "${seen[@]}" "${learn[@]}" \
    fit.epochs=5 fit.eval_every=5 fit.batch=16 optim.lr=.003 run.name=large data.root="$work/large"
"$PYTHON" train/teacher.py task=boxes model=yolo_n augment=scene image.height=320 image.width=320 "${seen[@]}" "${learn[@]}" \
    fit.epochs=5 fit.eval_every=5 fit.batch=16 optim.lr=.003 run.name=small data.root="$work/small" \
    init_from="$runs/large/best" init_parts="[$parts]"
real=("${learn[@]}" data.root="$work/real" data.val_share=.2 init_parts="[$parts]")
"$PYTHON" train/teacher.py experiment=yolo_icdar15 "${real[@]}" init_from="$runs/small/best" run.name=real
# the same on a larger canvas: its first evaluation, before any step, is of the weights as they are
"$PYTHON" train/teacher.py experiment=yolo_icdar15 "${real[@]}" init_from="$runs/real/best" run.name=wide \
    image.height=704 image.width=1280 augment.zoom=.3 fit.epochs=4 fit.eval_every=2 fit.batch=8 \
    fit.ema=.99 optim.lr=.0004

for model in real wide; do
    for protocol in ocrdistill icdar2015; do
        "$PYTHON" -m train.evaluation checkpoint="$runs/$model/best" data.root="$work/real" protocol=$protocol batch=4 \
            recogniser="$recogniser" latency=true
    done
done
"$PYTHON" -m train.report "$runs/wide" "$runs/real" out="$work/report.html"
