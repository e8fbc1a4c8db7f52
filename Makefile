# Every command sets up what it needs; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV = $(shell command -v uv 2>/dev/null || echo $(BIN)/uv)
PORT ?= 8080
MINUTES ?= 5
# Tests wait for half of their time: for disks, for deadlines, for programs that hang on purpose.
WORKERS = $(shell $(BIN)/python -c 'import os; print(max(2, os.cpu_count() * 3 // 2))')

.DEFAULT_GOAL := help
.PHONY: help demo test soak check docs install serve bench lock lock-check format

help: ## list these commands
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "datacat needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Try: make $(MAKECMDGOALS) PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@command -v uv >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.installed: $(BIN)/python requirements.lock pyproject.toml
	@$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

install: $(VENV)/.installed ## set up everything in .venv

demo: $(VENV)/.installed ## watch three real programs being recorded
	@$(BIN)/datacat demo --port $(PORT)

serve: $(VENV)/.installed ## run the service on http://127.0.0.1:8080
	@$(BIN)/datacat serve --port $(PORT)

test: $(VENV)/.installed ## run every test
	@$(BIN)/pytest -n $(WORKERS) --dist worksteal

soak: $(VENV)/.installed ## hurt the service for long: make soak MINUTES=60
	@$(BIN)/python -m tests.soak --minutes $(MINUTES) $(SOAK)

check: $(VENV)/.installed ## lint, types, architecture, documentation, lock file
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory docs lock-check

docs: $(VENV)/.installed ## build the documentation into build/docs
	@$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going --builder html --doctree-dir build/doctrees docs build/docs

bench: $(VENV)/.installed ## measure, beside peers in the same run
	@$(BIN)/python -m benchmarks

format: $(VENV)/.installed ## format and sort what can be done by machine
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
  --all-extras --group dev --group docs --group bench pyproject.toml

lock: $(BIN)/python ## bring requirements.lock up to date with pyproject.toml
	@$(COMPILE) --upgrade --output-file requirements.lock

lock-check: $(BIN)/python
	@cp requirements.lock $(VENV)/requirements.check
	@$(COMPILE) --output-file $(VENV)/requirements.check
	@diff -q requirements.lock $(VENV)/requirements.check >/dev/null \
	  || { echo "requirements.lock is behind pyproject.toml: run 'make lock' and commit it"; exit 1; }
