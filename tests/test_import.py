"""What `import keras_t3d` loads, and where names are found."""

import importlib
import os
import pathlib
import re
import subprocess
import sys

import pytest

import keras_t3d
from keras_t3d import registration

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


@pytest.mark.process
@pytest.mark.parametrize("chosen", ["0", None])
def test_tensorflow_uses_onednn_on_all_processors_unless_told_otherwise(chosen, monkeypatch):
    monkeypatch.delenv("TF_ENABLE_ONEDNN_OPTS", raising=False)
    if chosen is not None:
        monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", chosen)
    code = "import os, sys, keras_t3d; assert os.environ['TF_ENABLE_ONEDNN_OPTS'] == sys.argv[1]"
    run(code, chosen or "1")


# TensorFlow, which takes longest to import, is imported once; each order has its own process.
_LOADS_IN_ORDERS = """
import os, sys
import tensorflow
orders = (
    "import keras_t3d, keras",
    "import keras, keras_t3d",
    "import keras_t3d.optimization.cross_entropy, keras",
    # As TensorFlow and torch.utils.tensorboard look Keras up.
    "import keras_t3d, importlib.util as u; u.find_spec('keras'); from tensorflow import keras",
    "import keras_t3d, tensorflow as tf; keras = tf.keras",
    "import keras_t3d, lazy_loader; keras = lazy_loader.load('keras')",
    "import keras_t3d, threading as t; t.Thread(target=lambda: keras_t3d.models.T3D).start(); "
    "import keras",
)
for order in orders:
    process = os.fork()
    if not process:
        exec(order)
        model = keras.models.load_model(sys.argv[1])
        assert type(model).__module__ == "keras_t3d.models.t3d", type(model)
        assert model.optimizer.get_config()["learning_rate"]["class_name"] == "WarmUp"
        os._exit(0)
    assert os.waitpid(process, 0)[1] == 0, order
"""


@pytest.mark.process
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_models_load_in_any_order_of_imports(tmp_path):
    import keras

    from keras_t3d.optimization.mean_class_accuracy import MeanClassAccuracy

    model = keras_t3d.models.T3D(
        input_shape=(4, 16, 16, 3),
        num_classes=2,
        block_layers=(1, 1),
        growth_rate=4,
        stem_filters=4,
        transition_filters=4,
    )
    rate = keras_t3d.optimization.WarmUp(2, 0.1)
    model.compile(keras.optimizers.SGD(rate), metrics=[MeanClassAccuracy(2)])
    model.save(tmp_path / "compiled.keras")
    run(_LOADS_IN_ORDERS, tmp_path / "compiled.keras")


def test_every_registered_class_has_an_importer():
    decorated = r'@keras\.saving\.register_keras_serializable\(package="keras_t3d"\)\nclass (\w+)'
    package = pathlib.Path(keras_t3d.__file__).parent
    found = {
        name: ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        for name in re.findall(decorated, path.read_text(encoding="utf-8"))
    }
    assert found == registration.CLASSES


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
