# Both commands work on a fresh machine with Python 3.11 to 3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the tests are installed with; CI adds extras: see .ci/run.
EXTRAS ?= dev
comma := ,
INSTALLED := $(VENV)/installed-$(subst $(comma),-,$(EXTRAS))

# The oldest versions that setup.py allows, on the last TensorFlow that tensorflow-io loads with.
OLDEST := .venv-oldest
OLDEST_VERSIONS := keras==3.11.0

.PHONY: demo test test-fast test-slow test-oldest test-processors check coverage results clean

# The whole path on generated videos; its results lie in demo/.
demo: $(VENV)/installed
	rm -rf demo
	$(BIN)/keras-t3d demo --out demo

# A file's tests run one after the other, files side by side: in their order, as those that
# xdist would put last, with few tests, are the long ones. TensorFlow takes a gigabyte or two in
# each process.
PROCESSES ?= --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

test: $(INSTALLED)
	$(BIN)/python -m pytest $(PROCESSES)

# Under three minutes: leaves out tests that start processes, train, or export (pyproject.toml).
FAST := not (process or fit or export or backend or slow or study)
test-fast: $(INSTALLED)
	$(BIN)/python -m pytest $(PROCESSES) -m '$(FAST)'

# Minutes long: controls on the motion set, benchmarks and studies in quick mode, all networks at
# full depth, further cases of what `make test` tries once.
test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -m 'slow or study'

# The tests in a second environment: oldest TensorFlow and Keras, and object stores, which
# moto plays. TESTS=tests/data runs a part of them.
TESTS ?= tests
test-oldest: $(OLDEST)/installed
	$(OLDEST)/bin/python -m pytest $(PROCESSES) $(TESTS)

# Layers, models, optimization and training as on other processors: about half an hour.
test-processors: $(INSTALLED)
	$(BIN)/python tests/processors/run.py

# What CI checks besides the tests.
check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Prints the lines of the package that `make test` does not run; what runs in processes of their
# own is not counted.
coverage: $(INSTALLED)
	$(BIN)/python -m pytest $(PROCESSES) --cov --cov-report=term

# Writes docs/results.md from studies/results/*.json.
results: $(INSTALLED)
	$(BIN)/python studies/results_page.py

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(INSTALLED): pyproject.toml $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
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
	$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check \
	    -e '.[dev,io]' '$(OLDEST_VERSIONS)' 'moto[server]>=5'
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) demo build *.egg-info
