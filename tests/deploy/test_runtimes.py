"""Operator versions of `.tflite` files, and the oldest runtime that loads them."""

import os

import pytest
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.deploy import TFLiteOptions
from keras_t3d.deploy.integer_conversion import IntegerConversion
from keras_t3d.deploy.tflite_conversion import convert
from keras_t3d.deploy.tflite_metadata import with_metadata
from keras_t3d.deploy.tflite_versions import runtime_of
from tests.deploy.networks import clips_for, randomize
from tests.deploy.test_networks import NETWORKS

pytestmark = pytest.mark.export

QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "integer_output")
SHAPE = (8, 20, 19, 3)
# Python of an environment with tflite-runtime, which needs numpy < 2:
#   python3.11 -m venv V && V/bin/pip install "numpy<2" tflite-runtime==2.14.0
OLD_RUNTIME = os.environ.get("TFLITE_RUNTIME_PYTHON")


def network(name, num_classes=200):
    """A network whose dense layers are large enough to be stored in 8 bits."""
    cls, options = NETWORKS[name]
    return randomize(cls(input_shape=SHAPE, num_classes=num_classes, **options))


def content_of(model, quantization, clips):
    if quantization not in ("int8", "integer_output"):
        content = convert(model, quantization)
    else:
        options = TFLiteOptions("int8", integer_output=quantization == "integer_output")
        content = IntegerConversion(model, clips).convert(options)
    return with_metadata(content, model)


def read(content):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))


def metadata(file, name):
    (entry,) = (entry for entry in file.metadata if entry.name == name)
    return bytes(file.buffers[entry.buffer].data).rstrip(b"\0").decode()


def versions(file):
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    return {
        names[max(code.builtinCode, code.deprecatedBuiltinCode)]: code.version
        for code in file.operatorCodes
    }


@pytest.fixture(scope="module")
def grouped():
    model = network("stc_residual")
    return model, clips_for(model, 4)


@pytest.mark.parametrize(
    ("quantization", "oldest"),
    [
        ("none", "2.9.0"),
        ("float16", "2.9.0"),
        ("dynamic", "2.9.0"),
        ("int8", "2.9.0"),
        ("integer_output", "2.9.0"),
    ],
)
def test_oldest_runtime(grouped, quantization, oldest):
    file = read(content_of(grouped[0], quantization, grouped[1]))
    assert metadata(file, b"min_runtime_version") == oldest
    newest = max(
        (
            [int(part) for part in runtime_of(name, version).split(".")]
            for name, version in versions(file).items()
        )
    )
    assert ".".join(map(str, newest)) == oldest
