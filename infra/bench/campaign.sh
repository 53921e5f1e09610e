#!/usr/bin/env bash
# The long counts (kills, faults), run nicely; one row of what came out goes to the end of RESULTS.md.
set -uo pipefail
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv/bin/python}
log=$(mktemp)
nice "$PYTHON" -m pytest -m campaign -q --hypothesis-profile=anew tests "$@" 2>&1 | tee "$log"
code=${PIPESTATUS[0]}
commit=$(git describe --always --dirty)
echo "| \`make campaign\` at $commit | $(tail -n 1 "$log" | tr -d '=' | xargs) |" >> infra/bench/RESULTS.md
rm -f "$log"
exit "$code"
