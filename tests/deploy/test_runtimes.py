"""Operator versions of `.tflite` files, and the oldest runtime that loads them."""

import os
import pathlib
import subprocess

import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from keras_t3d.deploy import TFLiteOptions
from keras_t3d.deploy.convolution_2d import join_frames
from keras_t3d.deploy.integer_conversion import IntegerConversion
from keras_t3d.deploy.tflite_conversion import convert, run_converter
from keras_t3d.deploy.tflite_metadata import with_metadata
from keras_t3d.deploy.tflite_versions import oldest_runtime, runtime_of
from keras_t3d.inference.litert_predictor import LiteRTRunner
from tests.deploy.networks import clips_for, randomize
from tests.deploy.test_networks import NETWORKS

pytestmark = pytest.mark.export

SHAPE = (8, 20, 19, 3)
QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "integer_output")
DENSE = schema.BuiltinOperator.FULLY_CONNECTED
DEFAULT = ("stc_residual",)  # has grouped convolutions, and dense layers within the network
# The Python of an environment with an old runtime, which needs NumPy before 2:
#   python3.11 -m venv V && V/bin/pip install "numpy<2" tflite-runtime==2.14.0
OLD_RUNTIME = os.environ.get("TFLITE_RUNTIME_PYTHON")
ANSWERS_OF_8_BITS = 0.05  # runtimes round the same integers differently


def network(name):
    """A network whose last layer is large enough for the converter to quantize it."""
    cls, options = NETWORKS[name]
    return randomize(cls(input_shape=SHAPE, num_classes=200, **options))


def content_of(model, quantization, clips):
    """Returns a file as `export_tflite` writes it."""
    if quantization in ("int8", "integer_output"):
        options = TFLiteOptions("int8", integer_output=quantization == "integer_output")
        content = IntegerConversion(model, clips).convert(options)
    else:
        content = convert(model, quantization)
    return with_metadata(content, model)


def read(content):
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))


def stated_runtime(file):
    (entry,) = (entry for entry in file.metadata if entry.name == b"min_runtime_version")
    return bytes(file.buffers[entry.buffer].data).rstrip(b"\0").decode()


def versions_of(file):
    """Returns the version of each operator of a file."""
    names = {value: name for name, value in vars(schema.BuiltinOperator).items()}
    return {
        names[max(code.builtinCode, code.deprecatedBuiltinCode)]: code.version
        for code in file.operatorCodes
    }


def dense_weights(file):
    (graph,) = file.subgraphs
    for step in graph.operators:
        code = file.operatorCodes[step.opcodeIndex]
        if max(code.builtinCode, code.deprecatedBuiltinCode) == DENSE:
            yield step, graph.tensors[step.inputs[1]]


def numbers(version):
    return [int(number) for number in version.split(".")]


@pytest.fixture(scope="module", params=QUANTIZATIONS)
def exported(request):
    model = network("stc_residual")
    clips = clips_for(model, 3)
    return request.param, model, clips, content_of(model, request.param, clips)


def test_versions_and_the_runtime_that_has_them(exported):
    quantization, _, _, content = exported
    file = read(content)
    versions = versions_of(file)
    dense = {"none": 1, "float16": 1, "dynamic": 9, "int8": 9, "integer_output": 4}
    assert versions["FULLY_CONNECTED"] == dense[quantization]
    assert versions["CONV_2D"] == 6  # has groups
    runtimes = {name: runtime_of(name, version) for name, version in versions.items()}
    assert runtimes["CONV_2D"] == max(runtimes.values(), key=numbers) == "2.9.0"
    assert stated_runtime(file) == "2.9.0"
    for step, weights in dense_weights(file):
        if weights.type == schema.TensorType.INT8:
            assert len(weights.quantization.scale) == 1, step


def test_scales_apart_from_dense_layers_change_nothing(exported):
    """The converter's own file has a dense layer of version 12, for LiteRT of today."""
    quantization, model, clips, content = exported
    if quantization != "dynamic":
        pytest.skip("the other files have no such layer")

    def prepare(converter):
        converter.optimizations = [tf.lite.Optimize.DEFAULT]

    before = run_converter(model, join_frames, tf.uint8, prepare)
    assert versions_of(read(before))["FULLY_CONNECTED"] == 12
    run, again = LiteRTRunner(before), LiteRTRunner(content)
    for clip in clips:
        np.testing.assert_allclose(again(clip[None]), run(clip[None]), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("quantization", ["none", "float16"])
def test_the_converter_states_the_same_runtime(quantization):
    """The table has TensorFlow's figures."""
    content = convert(network("t3d"), quantization)
    file = read(content)
    assert oldest_runtime(file) == stated_runtime(file)


def test_an_operator_that_is_not_listed():
    assert runtime_of("CONV_2D", 99) == runtime_of("STABLEHLO_CASE", 1) == tf.__version__
    assert [runtime_of("DEQUANTIZE", version) for version in (1, 2)] == ["1.13.1", "1.14.0"]


@pytest.mark.process
@pytest.mark.skipif(OLD_RUNTIME is None, reason="needs TFLITE_RUNTIME_PYTHON")
@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in DEFAULT else pytest.mark.slow) for name in NETWORKS],
)
def test_an_old_runtime_answers_the_same(name, tmp_path):
    model = network(name)
    clips = clips_for(model, 3)
    np.save(tmp_path / "clips.npy", clips)
    expected = {}
    for quantization in QUANTIZATIONS:
        content = content_of(model, quantization, clips)
        (tmp_path / f"{quantization}.tflite").write_bytes(content)
        run = LiteRTRunner(content)
        expected[quantization] = np.concatenate([run(clip[None]) for clip in clips])
    script = pathlib.Path(__file__).with_name("run_in_runtime.py")
    subprocess.run([OLD_RUNTIME, script, tmp_path], check=True, capture_output=True)
    for quantization, probabilities in expected.items():
        found = np.load(tmp_path / f"{quantization}.npy").astype(np.float64)
        if quantization == "integer_output":
            found = (found + 128) / 256
        in_integers = quantization in ("int8", "integer_output")
        atol = ANSWERS_OF_8_BITS if in_integers else 1e-4
        np.testing.assert_allclose(found, probabilities, rtol=0, atol=atol)
