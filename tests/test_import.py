"""What `import keras_t3d` loads, and where names are found."""

import importlib
import os
import pathlib
import re
import subprocess
import sys

import pytest

import keras_t3d

ROOT = pathlib.Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
MODULES = [name for name in keras_t3d.__all__ if name.islower() and not name.startswith("_")]


def run(code, *arguments):
    subprocess.run([sys.executable, "-c", code, *arguments], check=True, capture_output=True)


def resolve(name):
    """Returns what a dotted name refers to, importing submodules on the way."""
    parts = name.split(".")
    found = importlib.import_module(parts[0])
    for index, part in enumerate(parts[1:], start=2):
        try:
            found = getattr(found, part)
        except AttributeError:
            found = importlib.import_module(".".join(parts[:index]))
    return found


@pytest.mark.process
def test_import_loads_no_backend():
    run(
        "import sys, keras_t3d, keras_t3d.data.conversion.encode, keras_t3d.cli\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules), sys.modules"
    )


# TensorFlow, which takes longest to import, is imported once; each order has its own process.
_LOADS_IN_ORDERS = """
import os, sys
import tensorflow
for modules in ("keras_t3d, keras", "keras, keras_t3d", "keras_t3d.layers, keras"):
    process = os.fork()
    if not process:
        exec(f"import {modules}")
        keras.saving.load_model(sys.argv[1])
        os._exit(0)
    assert os.waitpid(process, 0)[1] == 0, modules
"""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_models_load_in_any_order_of_imports(model_path):
    run(_LOADS_IN_ORDERS, model_path)


def test_a_missing_name_is_an_attribute_error():
    assert not hasattr(keras_t3d, "nothing")


@pytest.mark.parametrize("module", MODULES)
def test_tab_completion_lists_every_public_name(module):
    public = getattr(keras_t3d, module)
    assert module in dir(keras_t3d)
    names = getattr(public, "__all__", [])
    assert set(names) <= set(dir(public))
    for name in names:
        assert getattr(public, name) is not None


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_name_in_the_documents_can_be_imported(document):
    text = document.read_text(encoding="utf-8")
    names = set(re.findall(r"(?<![\w/-])keras_t3d(?:\.[A-Za-z_]\w*)+(?!\w*/)", text))
    for module, imported in re.findall(r"from (keras_t3d[\w.]*) import ([\w, ]+)", text):
        names |= {f"{module}.{name.strip()}" for name in imported.split(",")}
    for name in sorted(names):
        resolve(name)
