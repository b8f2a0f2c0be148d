# Every target works on a fresh machine with Python 3.11 to 3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Extras to install for the tests; CI adds more: see .ci/run.
EXTRAS ?= dev
comma := ,
INSTALLED := $(VENV)/installed-$(subst $(comma),-,$(EXTRAS))

# The oldest versions that pyproject.toml allows, on the last TensorFlow that tensorflow-io supports.
OLDEST := .venv-oldest
OLDEST_VERSIONS := keras==3.11.0

# Python compiles the modules that it imports, once, as it may write the result; pip would compile
# all that it installs.
unexport PYTHONDONTWRITEBYTECODE
INSTALL := python -m pip install --quiet --disable-pip-version-check --no-compile

.PHONY: environment demo test test-fast test-slow test-oldest test-oldest-quick test-processors check \
    coverage docs results clean

# Installs what tests and checks need.
environment: $(INSTALLED)

# Runs the whole path on generated videos; writes demo/.
demo: $(VENV)/installed
	rm -rf demo
	$(BIN)/keras-t3d demo --out demo

# Files run in parallel, the tests of a file in one process, in the order of tests/conftest.py: xdist
# would run files with few tests last, and those take longest. Each process needs 1 to 2 GB.
# One more than there are cores, as many tests wait for processes of their own.
CORES := $(shell $(PYTHON) -c 'import os; print(min(os.cpu_count() or 1, 4))')
WORKERS := $(shell $(PYTHON) -c 'print(min($(CORES) + 1, 4))')
DISTRIBUTION := --dist loadfile --no-loadscope-reorder
PROCESSES ?= --numprocesses $(WORKERS) $(DISTRIBUTION)

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PROCESSES)

# Excludes tests that start processes, train, export, or build pipelines (see pyproject.toml).
FAST := not (process or fit or pipeline or export or backend or slow or study)
test-fast: $(INSTALLED)
	$(BIN)/python -m pytest --numprocesses $(CORES) $(DISTRIBUTION) -m '$(FAST)'

# Takes hours: controls on the motion set, benchmarks and studies in quick mode, all networks at full
# depth, and further cases of tests that `make test` runs once.
test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m 'slow or study'

# Runs the tests with the oldest TensorFlow and Keras, and with object stores emulated by moto.
# TESTS=tests/data runs a part of them.
TESTS ?= tests
test-oldest: $(OLDEST)/installed
	$(OLDEST)/bin/python -m pytest $(PROCESSES) $(TESTS)

# Runs the tests that depend most on the versions: private interfaces, saving, the training step on
# one device.
QUICK := tests/test_import.py tests/test_private_interfaces.py tests/models/test_video_classifier.py \
    tests/optimization/test_learner.py tests/deploy/test_tflite.py
test-oldest-quick:
	$(MAKE) test-oldest TESTS='$(QUICK) -k "not devices"'

# Runs layers, models, optimization and training as on other processors: an hour or more.
test-processors: $(INSTALLED)
	$(BIN)/python tests/processors/run.py

# Checks format, lint, types and import directions.
check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Prints the lines of the package that `make test` does not execute in its own processes.
coverage: $(INSTALLED)
	$(BIN)/python -m pytest $(PROCESSES) --cov --cov-report=term

# Builds the documentation site in site/; fails for a wrong link.
docs:
	$(MAKE) environment EXTRAS=$(if $(findstring docs,$(EXTRAS)),$(EXTRAS),docs)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Writes docs/results.md and docs/results/ from studies/results/*.json.
results: $(INSTALLED)
	$(BIN)/python studies/results_page.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(BIN)/python
	$(BIN)/$(INSTALL) -e .
	touch $@

$(INSTALLED): pyproject.toml | $(BIN)/python
	$(BIN)/$(INSTALL) -e '.[$(EXTRAS)]'
	touch $@

$(OLDEST)/installed: pyproject.toml
	@for python in python3.11 python3.12 $(PYTHON); do \
	    $$python -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' \
	        2>/dev/null && break; \
	    python=; \
	done; \
	test -n "$$python" || { echo "make test-oldest needs Python 3.11 or 3.12, as TensorFlow 2.16" \
	    "has none newer: install one, or pass PYTHON=/path/to/python3.12." >&2; exit 1; }; \
	$$python -m venv $(OLDEST)
	$(OLDEST)/bin/$(INSTALL) \
	    -e '.[dev,io]' '$(OLDEST_VERSIONS)' 'moto[server]>=5'
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) demo site build *.egg-info
