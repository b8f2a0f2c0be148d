# Both commands work on a fresh machine with Python 3.11 to 3.13 and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What the tests are installed with; CI says EXTRAS=dev,backends, which adds JAX and PyTorch.
EXTRAS ?= dev

.PHONY: demo test test-slow check clean

# The whole path on generated videos; its results lie in demo/.
demo: $(VENV)/installed
	rm -rf demo
	$(BIN)/keras-t3d demo --out demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest

# Minutes long: trains controls on the motion set.
test-slow: $(VENV)/installed-dev
	$(BIN)/python -m pytest -m slow

# What CI checks besides the tests.
check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

$(VENV)/installed: setup.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/installed-dev: setup.py $(VENV)/installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[$(EXTRAS)]'
	touch $@

clean:
	rm -rf $(VENV) demo build *.egg-info
