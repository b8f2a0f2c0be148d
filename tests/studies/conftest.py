"""Makes the scripts importable by name, and marks the tests of this folder: `make test-slow`."""

import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
sys.path += [str(ROOT / "studies"), str(ROOT / "benchmarks")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(pathlib.Path(__file__).parent):
            item.add_marker(pytest.mark.study)
