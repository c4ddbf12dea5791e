# make quickstart   the environment, the sample data, a small forecaster and a small captioner, their tables
# make test         what tests need, then the linter, the type checker and the tests
# Packages come from wherever pip is configured to look.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help quickstart install test test-slow torture bench ui clean

BIN := .venv/bin
RUNS ?= runs
PORT ?= 5000
PYTHON ?= $(shell for name in python3 python3.13 python3.12 python3.11; do \
  $$name -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && echo $$name && break; done)

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile
	@echo "make test-slow    the tests that take minutes"
	@echo "make torture      50 kills, each followed by going on; takes some 25 minutes"
	@echo "make bench        speed against textbook versions, of two ranks, and with a tracking server that fails"
	@echo "make ui           MLflow's pages on http://127.0.0.1:$(PORT)"
	@echo "make clean        remove the environment and caches; runs and stores stay"

$(BIN)/python:
	@[ -n "$(PYTHON)" ] || { echo "skyreel needs Python 3.11, 3.12 or 3.13; none of python3, python3.13, python3.12," \
	  "python3.11 is one. Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "$(PYTHON) cannot make environments (venv or" \
	  "ensurepip is missing). On Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv .venv

.venv/.installed: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	@touch $@

.venv/.installed-test: pyproject.toml .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test]'
	@touch $@

install: .venv/.installed

quickstart: .venv/.installed
	$(BIN)/skyreel train experiment=sample_weather run.name=quickstart paths.runs=$(RUNS)
	$(BIN)/skyreel train experiment=sample_clips run.name=quickstart paths.runs=$(RUNS) data.sample.clips=600 trainer.max_minutes=1.5

test: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -q -m 'not slow'

test-slow: .venv/.installed-test
	$(BIN)/pytest -q -m slow

torture: .venv/.installed-test
	$(BIN)/python -m tests.torture

bench: .venv/.installed-test
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

ui: .venv/.installed
	@[ -e $(RUNS)/mlflow.db ] || { echo "$(RUNS)/mlflow.db: no run has been tracked yet; make quickstart makes one" >&2; exit 2; }
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --backend-store-uri sqlite:///$(RUNS)/mlflow.db \
	  --workers 1 --host 127.0.0.1 --port $(PORT)

clean:
	rm -rf .venv build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
