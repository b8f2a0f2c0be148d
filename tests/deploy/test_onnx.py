"""ONNX files: contents, and predictions equal to Keras."""

import sys

import keras
import numpy as np
import pytest

from keras_t3d.clips import take_view
from keras_t3d.deploy import EXPORT_TARGETS, ExportError, export_onnx
from keras_t3d.deploy import onnx as onnx_export
from keras_t3d.errors import InvalidArgumentError, MissingPackageError
from keras_t3d.inference import load_predictor
from tests.deploy.networks import (
    NAMES,
    SPEC,
    grouped_network,
    randomize,
    small_network,
    softmax_network,
)

onnxruntime = pytest.importorskip("onnxruntime", reason="needs ONNX: pip install -e '.[onnx]'")
pytest.importorskip("tf2onnx", reason="needs ONNX: pip install -e '.[onnx]'")
pytestmark = pytest.mark.export


@pytest.fixture(scope="module")
def exported(model, clips, tmp_path_factory):
    return export_onnx(model, tmp_path_factory.mktemp("onnx") / "new" / "t3d.onnx", clips)


def test_signature(exported, clips):
    session = onnxruntime.InferenceSession(exported.path)
    (given,) = session.get_inputs()
    assert (given.name, given.type) == ("clips", "tensor(uint8)")
    assert given.shape[-1] == 3
    assert {output.name: output.shape[1] for output in session.get_outputs()} == {
        "embedding": 112,
        "probabilities": 6,
    }
    assert exported.num_clips == len(clips)
    assert exported.largest_difference < 1e-5


def test_predictions_and_embeddings(exported, model, clips):
    predictor = load_predictor(exported.path)
    assert predictor.class_names == NAMES
    assert predictor.clip_spec == SPEC
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(model(clips)))
    np.testing.assert_allclose(predictor.probabilities(clips), expected, atol=1e-5)
    embedding = keras.Model(model.inputs, model.get_layer("embedding").output)(clips)
    np.testing.assert_allclose(predictor.embeddings(clips), embedding, atol=1e-4)


def test_commands(exported, check_commands):
    check_commands(exported.path)


@pytest.mark.parametrize("size", [(40, 50, 70), (5, 36, 50), (17, 270, 480)])
def test_view_in_the_graph(exported, size):
    videos = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    session = onnxruntime.InferenceSession(exported.path)
    (found,) = session.run(["probabilities"], {"clips": videos})
    views = np.stack([take_view(video, SPEC) for video in videos])
    expected = load_predictor(exported.path).probabilities(views)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize("make", [grouped_network, softmax_network])
def test_other_networks(make, tmp_path):
    report = export_onnx(make(), tmp_path / "other.onnx")
    assert report.num_clips == 8
    assert report.largest_difference < 1e-5


def test_the_command_compares_on_shards(model_path, shards, tmp_path):
    lines = []
    report = EXPORT_TARGETS["onnx"].export(
        model_path, tmp_path / "t3d.onnx", shards, notify=lines.append
    )
    assert report.num_clips == 8
    assert lines == report.lines()
    assert "float32" in lines[0]


def test_nothing_is_written_of_a_wrong_network(model, clips, tmp_path, monkeypatch):
    write, other = onnx_export._write, randomize(small_network(), seed=7)
    monkeypatch.setattr(onnx_export, "_write", lambda model, path: write(other, path))
    with pytest.raises(ExportError, match="1e-04"):
        export_onnx(model, tmp_path / "t3d.onnx", clips)
    assert not list(tmp_path.iterdir())


def test_a_name_without_the_suffix(model, tmp_path):
    with pytest.raises(InvalidArgumentError, match=r"t3d\.onnx"):
        export_onnx(model, tmp_path / "t3d")


@pytest.mark.parametrize("package", ["tf2onnx", "onnxruntime"])
def test_without_the_package(package, model, clips, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=r"pip install 'keras-t3d\[onnx\]'"):
        export_onnx(model, tmp_path / "t3d.onnx", clips)
    assert not list(tmp_path.iterdir())


def test_damaged_files(exported, tmp_path):
    path = tmp_path / "t3d.onnx"
    content = exported.path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(InvalidArgumentError, match="cannot read"):
        load_predictor(path)
    path.write_bytes(content.replace(b"labels.txt", b"others.txt"))
    with pytest.raises(InvalidArgumentError, match=r"export_onnx.*labels\.txt"):
        load_predictor(path)
