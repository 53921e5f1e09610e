#!/usr/bin/env bash
# What distillation gains on real words: students of 127,733 parameters trained on rendered words alone, taught by
# the published CRNN of 922,629 and by nobody, with equal data, order, views, steps and start.
#   bash infra/bench/gain.sh WORK "none logits nkd ..." "0 1 2 3 4"
# WORK holds, made as RESULTS.md says under "Real words": data/{rendered,icdar2015,iiit5k,svt,icdar2003} and the imported
# model. About 4 minutes of one core for each method and seed; what is done is not done again. The table: gain.py.
set -euo pipefail
work=$1 methods=$2 seeds=$3
PYTHON=${PYTHON:-python}
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
small=(data.root="$work/data/rendered" model=crnn_tiny fit.precision=bf16 fit.batch=128 fit.epochs=2 data.memory=600)
real=$work/data/icdar2015,$work/data/iiit5k,$work/data/svt,$work/data/icdar2003
mkdir -p "$work/logs"

declare -A with=(
    [none]="method=none"
    [logits]="method=logits method.logits.weight=.5 method.logits.temperature=1"
    [hard]="method=hard method.hard.weight=.5"
    [sequence]="method=sequence method.sequence.weight=.4"
    [occupancy]="method=occupancy method.occupancy.weight=.5"
    [masked]="method=masked method.masked.weight=.5 method.masked.temperature=1"
    [guided]="method=guided method.guided.weight=.5"
    [blank_excluded]="method=blank_excluded method.blank_excluded.weight=.5"
    [marginal]="method=marginal method.marginal.weight=.5"
    [dist]="method=dist method.dist.weight=.5"
    [dkd]="method=dkd method.dkd.weight=.3 method.dkd.temperature=2 method.dkd.beta=2"
    [nkd]="method=nkd method.nkd.weight=.5"
    [mse]="method=mse method.mse.weight=.3"
    [hint]="method=hint method.hint.weight=.5"
    [hard_frames]="method=hard_frames method.hard_frames.weight=.5"
    [relation]="method=relation method.relation.weight=.3 method.relation.tap= method.relation.angle=0"
)

"$PYTHON" distill/record.py checkpoint="$work/imported" data.root="$work/data/rendered" augment=light views=4 bytes=100 kl_limit=.03 \
    kinds=frames,nbest,occupancy taps=rnn2:pca:32 out="$work/cache"
for seed in $seeds; do
    "$PYTHON" train/teacher.py run.root="$work/starts" run.name="s$seed" seed="$seed" augment=light optim.lr=.004 "${small[@]}"
done > "$work/logs/starts"
for seed in $seeds; do
    for method in $methods; do
        run=$work/runs/$method-s$seed
        # shellcheck disable=SC2086
        "$PYTHON" distill/student.py run.root="$work/runs" run.name="$method-s$seed" seed="$seed" cache="$work/cache" optim.lr=.003 \
            init_from="$work/starts/s$seed/best" "${small[@]}" ${with[$method]} > "$work/logs/$method-s$seed"
        "$PYTHON" -m train.evaluation checkpoint="$run/last" baseline="$run/last" data.root="$real" data.split=train \
            words="$run/words.json" out="$run/real.json" >> "$work/logs/$method-s$seed"
    done
done
"$PYTHON" infra/bench/gain.py "$work/runs"
