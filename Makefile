# make demo: set up, train on handwritten digits, show. make test: set up, test. The rest is for developers.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test test-slow check bench bench-gpu docs wheel audit clean

demo: .venv/installed
	$(BIN)/discrete-gan train digits --out runs/demo --overwrite

# A process a core, each file in one of them, in their own order: the long ones are not the last.
test: .venv/installed
	$(BIN)/pytest --numprocesses auto --maxprocesses 8 --dist loadfile --no-loadscope-reorder

test-slow: .venv/installed
	$(BIN)/pytest -m slow

check: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

# About ten minutes, with nothing else running.
bench: .venv/installed
	$(BIN)/python benchmarks/page.py docs/benchmarks.md

bench-gpu: .venv/installed
	$(BIN)/python benchmarks/page.py docs/benchmarks_gpu.md --device cuda

# The site, in site/; a warning is an error.
docs: .venv/docs
	rm -rf .cache  # of notebooks that ran before
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Built, installed alone in an empty environment and tried from another folder.
wheel: .venv/installed
	$(BIN)/python benchmarks/wheel.py

# Licences of all that is installed, docs/releasing.md explains the one that is let through, and known weaknesses.
audit: .venv/docs
	$(BIN)/pip install --quiet --editable '.[audit]'
	$(BIN)/pip-licenses --summary --partial-match --ignore-packages copulas \
		--allow-only "MIT;BSD;Apache;ISC;Python Software Foundation;PSF;MPL;Mozilla"
	$(BIN)/pip-audit --skip-editable

# torch goes first, and alone: what depends on it then takes the version that constraints.txt names.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch numpy
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

.venv/docs: .venv/installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[docs]'
	touch $@

clean:
	rm -rf .venv build dist site
