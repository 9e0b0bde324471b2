# The commands of contributors and CI. They need make and Python 3.11 to 3.13; everything else goes into .venv.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
# One thread for each test process: small tensors gain nothing from more, and pytest's workers share the cores.
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto
DEMO := demo/pydoc.onward
KEPT := build/benchmarks
PEERS := build/peers-venv
AUDIT := build/audit-venv
SOURCES := setup.py src tests bases .ci $(wildcard benchmarks)

# Sets $python to the first Python on the path that is new enough and can make environments.
FIND_PYTHON = for python in $(PYTHON) python3 python3.13 python3.12 python3.11 python; do \
	if "$$python" -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; \
	then break; fi; python=; done; \
	if [ -z "$$python" ]; then echo "error: no Python 3.11 to 3.13 with venv found" >&2; \
	echo "hint: install one (Debian, Ubuntu: apt install python3 python3-venv), or name it: make PYTHON=/path/to/python3" >&2; exit 1; fi

.PHONY: help setup demo test lint types imports fast slow docs serve-docs wasm dist lower-bounds audit bench bench-peers format clean

help: ## show this list
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | while IFS=$$'\t' read -r name text; \
	do printf '  make %-13s %s\n' "$$name" "$$text"; done

setup: $(VENV)/.installed ## install onward and its tools into .venv (other targets do this when needed)

$(VENV)/.installed: pyproject.toml setup.py $(wildcard src/onward/layers/kernels/*.[ch] src/onward/layers/kernels/*.inc src/onward/inference/novelty/*.c src/onward/memory/*.c)
	@if [ ! -x $(BIN)/python ]; then $(FIND_PYTHON); echo "making $(VENV) with $$("$$python" --version)"; \
	"$$python" -m venv $(VENV); fi
	@echo "installing onward and its tools into $(VENV) (PyTorch is large: this takes minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

$(VENV)/.installed-docs: pyproject.toml $(VENV)/.installed
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	@touch $@

demo: setup ## train on Python's own manual for two minutes, then write and score
	@mkdir -p demo
	@PATH="$(CURDIR)/$(BIN):$$PATH" bash docs/demo.sh $(DEMO)

test: lint types imports fast ## the checks that must pass before a commit; takes a few minutes

lint: setup ## style and common mistakes
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)

types: setup ## static types
	$(BIN)/basedpyright

imports: setup ## the direction of imports
	$(BIN)/lint-imports --no-logo --no-cache

fast: setup ## the fast tests
	$(TEST)

slow: setup ## the slow tests
	$(TEST) -m slow

docs: $(VENV)/.installed-docs ## build the documentation into site/
	$(BIN)/zensical build --strict --clean
	@echo "open site/index.html"

serve-docs: $(VENV)/.installed-docs ## serve the documentation at http://127.0.0.1:8000, rebuilt on change
	$(BIN)/zensical serve

wasm: ## compile the step of a model to WebAssembly, for exported pages; needs clang and wasi-libc
	bash .ci/wasm

dist: ## build the sdist and a wheel into dist/, and test the wheel without a compiler
	@pythons="$(PYTHON)"; if [ -z "$$pythons" ]; then $(FIND_PYTHON); pythons=$$python; fi; bash .ci/dist $$pythons

lower-bounds: ## run a smoke test with each dependency but torch at its lower bound
	@$(FIND_PYTHON); "$$python" .ci/lower_bounds.py

$(AUDIT)/.installed: $(VENV)/.installed
	@$(BIN)/python -m venv $(AUDIT)
	@$(AUDIT)/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	@touch $@

audit: $(AUDIT)/.installed ## look for known vulnerabilities of the dependencies, on PyPI
	$(BIN)/python .ci/audit.py $(AUDIT)/bin/pip-audit

bench: setup ## run the benchmarks (two hours; needs the data sets in ../shared/data)
	$(BIN)/python benchmarks/text_budget.py tinyshakespeare --minutes 3
	$(BIN)/python benchmarks/text_budget.py nietzsche --minutes 5 --keep $(KEPT)
	$(BIN)/python benchmarks/small_texts.py
	$(BIN)/python benchmarks/write_memory.py $(KEPT)/model.onward
	$(BIN)/python benchmarks/write_speed.py $(KEPT)/model.onward $(KEPT)/held_out.txt --long 1000000
	$(BIN)/python benchmarks/score_speed.py $(KEPT)/model.onward $(KEPT)/training.txt
	$(BIN)/python benchmarks/score_lanes.py $(KEPT)/model.onward $(KEPT)/training.txt
	$(BIN)/python benchmarks/start_up.py $(KEPT)/model.onward
	$(BIN)/python benchmarks/training_step.py
	$(BIN)/python benchmarks/busy_machine.py $(KEPT)/training.txt
	$(BIN)/python benchmarks/roofline.py
	$(BIN)/python benchmarks/transformer_writing.py
	$(BIN)/python benchmarks/long_run.py $(KEPT)/model.onward
	$(BIN)/python benchmarks/resume_sigkill.py --steps 5000
	$(BIN)/python benchmarks/corpus_2gb.py
	$(BIN)/python benchmarks/hostile_files.py
	$(BIN)/python benchmarks/serve_attacks.py $(KEPT)/model.onward
	$(BIN)/python benchmarks/serve_faults.py $(KEPT)/model.onward
	$(BIN)/python benchmarks/editor_latency.py
	$(BIN)/python benchmarks/report.py

$(PEERS)/.installed: benchmarks/peers.txt $(VENV)/.installed
	@$(BIN)/python -m venv $(PEERS)
	@$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peers.txt
	@touch $@

bench-peers: $(PEERS)/.installed ## compare with other libraries, installed into build/peers-venv
	$(BIN)/python benchmarks/peers_training.py --peers $(PEERS)/bin/python
	$(BIN)/python benchmarks/report.py

format: setup ## format the code
	$(BIN)/ruff check --fix $(SOURCES)
	$(BIN)/ruff format $(SOURCES)

clean: ## remove build products; keep the environment and trained models
	rm -rf site build dist .cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
