"""OpenVINO models: contents, and predictions equal to Keras."""

import dataclasses
import sys

import keras
import numpy as np
import pytest

from keras_t3d.artifact_files import openvino_texts
from keras_t3d.clips import take_view
from keras_t3d.deploy import (
    EXPORT_TARGETS,
    ExportError,
    OpenVINOOptions,
    QuantizationError,
    export_openvino,
)
from keras_t3d.deploy import openvino as openvino_export
from keras_t3d.errors import InvalidArgumentError, MissingPackageError
from keras_t3d.inference import load_predictor
from tests.deploy.networks import (
    NAMES,
    SPEC,
    grouped_network,
    softmax_network,
)

openvino = pytest.importorskip("openvino", reason="needs OpenVINO: pip install -e '.[openvino]'")
pytestmark = pytest.mark.export


@pytest.fixture(scope="module")
def exported(model, clips, tmp_path_factory):
    return export_openvino(model, tmp_path_factory.mktemp("openvino") / "t3d", clips)


@pytest.fixture(scope="module")
def network(exported):
    return openvino.Core().read_model(exported.path / "model.xml")


@pytest.fixture
def converted(network, monkeypatch):
    """The network of this file in place of a conversion, as one takes seconds."""
    monkeypatch.setattr(openvino_export, "convert", lambda model: network)
    monkeypatch.setattr(openvino_export, "with_view", lambda network, model: network.clone())


def test_report_and_files(exported, clips):
    assert exported.path.name == "1"
    assert sorted(file.name for file in exported.path.iterdir()) == ["model.bin", "model.xml"]
    assert exported.num_clips == len(clips)
    assert exported.largest_difference < 1e-5
    assert exported.num_bytes == sum(file.stat().st_size for file in exported.path.iterdir())


def test_signature(network):
    assert network.friendly_name == "t3d_small"
    (given,) = network.inputs
    assert given.names == {"clips"}
    assert given.element_type == openvino.Type.u8
    assert str(given.partial_shape) == "[?,?,?,?,3]"
    assert {output.any_name: str(output.partial_shape) for output in network.outputs} == {
        "embedding": "[?,112]",
        "probabilities": "[?,6]",
    }


def test_class_names_and_clip_spec(exported, network):
    predictor = load_predictor(exported.path.parent)
    assert predictor.class_names == NAMES
    assert predictor.clip_spec == SPEC
    assert network.get_rt_info(["keras_t3d", "labels.txt"]).value.splitlines() == list(NAMES)
    assert openvino_texts(exported.path / "model.xml")["labels.txt"].splitlines() == list(NAMES)


def test_predictions_and_embeddings(exported, model, clips):
    predictor = load_predictor(exported.path / "model.xml")
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(model(clips)))
    np.testing.assert_allclose(predictor.probabilities(clips), expected, atol=1e-5)
    embedding = keras.Model(model.inputs, model.get_layer("embedding").output)(clips)
    np.testing.assert_allclose(predictor.embeddings(clips), embedding, atol=1e-4)


def test_convolutions_are_whole_and_the_pool_pads(network):
    kinds = [node.get_type_name() for node in network.get_ops()]
    assert kinds.count("Convolution") == 8
    assert "GroupConvolution" not in kinds
    (pool,) = (node for node in network.get_ops() if node.get_type_name() == "MaxPool")
    assert pool.get_attributes()["pads_begin"] == [1, 1, 1]
    assert "If" not in kinds


def test_commands(exported, check_commands):
    check_commands(exported.path)


@pytest.mark.parametrize("is_fixed", [False, True])
@pytest.mark.parametrize("size", [(40, 50, 70), (5, 36, 50), (17, 270, 480), (8, 36, 32)])
def test_view_in_the_graph(exported, network, size, is_fixed):
    videos = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    network = network.clone()
    if is_fixed:
        network.reshape({"clips": list(videos.shape)})
    run = openvino.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    views = np.stack([take_view(video, SPEC) for video in videos])
    expected = load_predictor(exported.path).probabilities(views)
    np.testing.assert_allclose(run(videos)["probabilities"], expected, atol=1e-6)


def test_a_view_passes_the_graph(exported, network, clips):
    run = openvino.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    expected = load_predictor(exported.path).probabilities(clips)
    np.testing.assert_allclose(run(clips)["probabilities"], expected, atol=1e-6)


@pytest.mark.slow  # tests/deploy/test_onnx.py exports the same graph
def test_a_network_that_returns_probabilities(tmp_path):
    report = export_openvino(softmax_network(), tmp_path)
    assert report.num_clips == 8
    assert report.largest_difference < 1e-5


@pytest.mark.slow  # tests/deploy/test_onnx.py exports the same graph
def test_grouped_convolutions_are_whole(tmp_path):
    report = export_openvino(grouped_network(), tmp_path)
    assert report.largest_difference < 1e-5
    network = openvino.Core().read_model(report.path / "model.xml")
    kinds = [node.get_type_name() for node in network.get_ops()]
    assert kinds.count("GroupConvolution") == 2


@pytest.mark.usefixtures("converted")
def test_bfloat16_is_a_hint(model, clips, exported, tmp_path):
    report = export_openvino(model, tmp_path, clips, options=OpenVINOOptions("bfloat16"))
    assert openvino_texts(report.path / "model.xml")["inference_precision"] == "default"
    assert openvino_texts(exported.path / "model.xml")["inference_precision"] == "f32"
    assert report.largest_difference < 5e-2


class TestInt8:
    @pytest.fixture(scope="class")
    def quantized(self, model_path, shards, tmp_path_factory):
        pytest.importorskip("nncf", reason="needs NNCF: pip install -e '.[openvino]'")
        lines = []
        directory = tmp_path_factory.mktemp("int8") / "t3d"
        export = EXPORT_TARGETS["openvino"].export
        report = export(model_path, directory, shards, OpenVINOOptions("int8"), lines.append)
        return report, lines

    def test_report(self, quantized):
        report, lines = quantized
        assert report.quantized.correlation > 0.95
        assert report.quantized.top1 is None  # the shards have other classes
        assert report.quantized.num_clips == 8  # of the test split
        assert report.quantized.num_bytes < 0.6 * report.quantized.float_bytes
        assert "Taking ranges of 20 clips, comparing on clips of test" in lines[0]
        assert lines[-1] == f"Wrote {report.path / 'report.json'}"
        names = ["model.bin", "model.xml", "report.json"]
        assert sorted(file.name for file in report.path.iterdir()) == names

    def test_convolutions_have_8_bits(self, quantized):
        network = openvino.Core().read_model(quantized[0].path / "model.xml")
        inputs = [
            node.input_value(0).get_node().get_type_name()
            for node in network.get_ops()
            if node.get_type_name() == "Convolution"
        ]
        assert inputs == ["FakeQuantize"] * 8

    @pytest.mark.usefixtures("converted")
    def test_a_correlation_that_is_too_low(self, quantized, model, clips, tmp_path, monkeypatch):
        wrong = dataclasses.replace(quantized[0].quantized, correlation=0.8)
        monkeypatch.setattr(openvino_export, "quantized", lambda network, clips: network)
        monkeypatch.setattr(openvino_export, "_measured", lambda *arguments: wrong)
        with pytest.raises(QuantizationError, match=r"0\.800; at least 0\.9"):
            export_openvino(model, tmp_path, clips, options=OpenVINOOptions("int8"))
        assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("converted")
def test_nothing_is_written_of_a_wrong_network(model, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_export, "largest_difference", lambda *arguments: 2e-4)
    with pytest.raises(ExportError, match="1e-04"):
        export_openvino(model, tmp_path / "t3d", clips)
    assert not list(tmp_path.iterdir())


def test_arguments(model, exported, tmp_path):
    with pytest.raises(InvalidArgumentError, match="calibration") as raised:
        export_openvino(model, tmp_path, options=OpenVINOOptions("int8"))
    assert raised.value.argument == "calibration"
    with pytest.raises(InvalidArgumentError, match="directory of versions"):
        export_openvino(model, exported.path)
    with pytest.raises(InvalidArgumentError, match="none, bfloat16, int8"):
        OpenVINOOptions("float16")


@pytest.mark.parametrize("package", ["openvino", "nncf"])
def test_without_the_package(package, model, clips, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=r"pip install 'keras-t3d\[openvino\]'"):
        export_openvino(model, tmp_path, clips, options=OpenVINOOptions("int8"))
    assert not list(tmp_path.iterdir())


class TestDamagedFiles:
    @pytest.fixture
    def copy(self, exported, tmp_path):
        for file in exported.path.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        return tmp_path

    def test_a_half_of_either_file(self, copy):
        for name in ("model.bin", "model.xml"):
            content = (copy / name).read_bytes()
            (copy / name).write_bytes(content[: len(content) // 2])
            with pytest.raises(InvalidArgumentError, match=r"cannot read.*Received: .*\.xml"):
                load_predictor(copy)

    def test_without_our_texts(self, copy):
        file = copy / "model.xml"
        file.write_text(file.read_text("utf-8").replace("keras_t3d>", "others>"), "utf-8")
        with pytest.raises(InvalidArgumentError, match="export_openvino"):
            load_predictor(file)
