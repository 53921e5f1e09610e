# OCR Distillery. `make` alone lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c infra/constraints.txt
TASK ?= recognise
SIZE ?= full
OUT ?= runs/demo$(if $(filter detect,$(TASK)),-detect)
BENCH ?= bench.md

.DEFAULT_GOAL := help
.PHONY: help demo test check campaign bench release-check setup lint size clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 22

demo: $(VENV)/base ## words in, a distilled student out: render, shard, teach, record, distil, judge (TASK=detect: scenes; SIZE=small)
	@PYTHON=$(BIN)/python TASK=$(TASK) SIZE=$(SIZE) OUT=$(OUT) bash infra/demo.sh

test: setup ## everything: lint, types and all tests
	$(MAKE) lint
	$(BIN)/python -m pytest -q -m "not campaign" -n 2 tests

check: setup ## lint, types and the quick tests, under 90 s
	$(MAKE) lint
	$(BIN)/python -m pytest -q -m "not slow and not campaign and not real" -n 2 tests

campaign: setup ## the long counts (kills, faults); appends to infra/bench/RESULTS.md
	PYTHON=$(BIN)/python bash infra/bench/campaign.sh

bench: setup ## every benchmark into the Markdown file BENCH=bench.md, on an idle machine (SIZE=small: does it work)
	@PYTHON=$(BIN)/python SIZE=$(SIZE) bash infra/bench/all.sh $(BENCH)

release-check: setup ## licences of every extra, the wheel in an empty environment, every entry's help, README's commands
	@$(BIN)/python infra/release/check.py

setup: $(VENV)/dev ## .venv with everything the tests use

lint: ## ruff and basedpyright
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/basedpyright --level error

size: ## lines per Python file, longest first
	@git ls-files '*.py' | xargs wc -l | sort -rn | head -40

clean: ## remove what the demo made
	rm -rf $(OUT)

# torch first and alone: the other packages then find it installed. The stamps keep a second call instant.
$(VENV)/base: pyproject.toml infra/constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) -e .
	touch $@

$(VENV)/dev: $(VENV)/base
	$(PIP) -e .[dev]
	touch $@
