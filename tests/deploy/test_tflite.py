"""`.tflite` files: contents, and predictions equal to Keras."""

import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import keras_t3d
from keras_t3d import models
from keras_t3d.deploy import ExportError, export_tflite, tflite, tflite_content
from keras_t3d.deploy.tflite_conversion import convert
from keras_t3d.deploy.tflite_operations import check_builtins_only, list_ops
from keras_t3d.errors import InvalidArgumentError
from tests.deploy.networks import clips_for, grouped_network, randomize, small_network, types_of

pytestmark = pytest.mark.export


@pytest.fixture(scope="module")
def exported(model, clips, tmp_path_factory):
    path = tmp_path_factory.mktemp("lite") / "new" / "model.tflite"
    return export_tflite(model, path, calibration=clips)


def test_signature(exported, model, clips):
    interpreter = Interpreter(model_path=str(exported.path))
    assert list(interpreter.get_signature_list().values()) == [
        {"inputs": ["clip"], "outputs": ["probabilities"]}
    ]
    runner = interpreter.get_signature_runner()
    details = runner.get_input_details()["clip"]
    assert details["dtype"] == np.uint8
    assert tuple(details["shape"]) == (1, *model.clip_spec.input_shape)
    expected = keras.ops.convert_to_numpy(keras.ops.softmax(model(clips)))
    assert expected.max() > 0.5  # flat probabilities would hide differences
    for clip, probabilities in zip(clips, expected, strict=True):
        answer = runner(clip=clip[None])["probabilities"]
        assert answer.shape == (1, 6)
        assert answer.dtype == np.float32
        np.testing.assert_allclose(answer[0], probabilities, atol=1e-5)


def test_report(exported, clips):
    assert exported.num_bytes == exported.path.stat().st_size
    assert exported.num_clips == len(clips)
    assert exported.quantization == "none"
    assert exported.largest_difference < 1e-5


def test_only_builtins(exported):
    ops = list_ops(exported.path)
    assert "CONV_2D" in ops
    assert "CONV_3D" not in ops
    assert not [name for name in ops if "CUSTOM" in name or "Flex" in name]


def test_custom_operations_are_found(tmp_path):
    pool = tf.function(
        lambda x: tf.nn.max_pool3d(x, 2, 2, "VALID"),
        input_signature=[tf.TensorSpec((1, 4, 4, 4, 3))],
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [pool.get_concrete_function()], tf.Module()
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.SELECT_TF_OPS]
    content = converter.convert()
    (tmp_path / "flex.tflite").write_bytes(content)
    assert "CUSTOM:FlexMaxPool3D" in list_ops(tmp_path / "flex.tflite")
    with pytest.raises(ExportError, match="FlexMaxPool3D"):
        check_builtins_only(content)


def test_associated_files(exported, model):
    with zipfile.ZipFile(exported.path) as associated:
        assert associated.read("labels.txt").decode() == "walk\nrun\njump é\nsit\nstand\nturn\n"
        config = json.loads(associated.read("clip_spec.json"))
    assert keras_t3d.ClipSpec.from_config(config) == model.clip_spec


def test_each_weight_is_stored_once(exported, model):
    weights = sum(int(np.prod(weight.shape)) for weight in model.weights)
    assert exported.num_bytes < 4 * weights + 100_000


def test_a_shared_layer_is_stored_once(tmp_path):
    inputs = keras.Input((4, 16, 16, 3))
    conv = keras.layers.Conv3D(3, 3, padding="same")
    wide = keras.layers.Conv3D(128, 3, padding="same")
    narrow = keras.layers.Conv3D(3, 1)
    x = conv(inputs)
    for _ in range(3):
        x = narrow(wide(x))
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(x)
    model = models.VideoClassifier(inputs, keras.layers.Dense(2)(x))
    report = export_tflite(model, tmp_path / "shared.tflite", calibration=clips_for(model, 1))
    assert report.num_bytes < 4 * model.count_params() + 25_000


def test_grouped_convolutions_and_channel_correlations(tmp_path):
    network = grouped_network()
    clips = clips_for(network, 3)
    report = export_tflite(network, tmp_path / "resnext.tflite", calibration=clips)
    assert report.largest_difference < 1e-5
    # Groups are one operation, and batch normalisations are gone: the pixels' alone is left.
    assert not {"SPLIT", "CONV_3D"} & set(list_ops(report.path))
    assert len(types_of(report.path.read_bytes(), "DEPTHWISE_CONV_2D")) == 1
    assert report.num_bytes < 4 * network.count_params() + 60_000


def test_float16_halves_the_file(model, clips, exported, tmp_path):
    report = export_tflite(model, tmp_path / "half.tflite", "float16", iter([(clips, None)]))
    assert report.num_bytes < 0.6 * exported.num_bytes
    assert 0 < report.largest_difference < 2e-2


def test_mixed_precision_models_export_in_float32(model, clips, exported, tmp_path):
    for policy in ("mixed_bfloat16", "mixed_float16"):
        mixed = small_network(dtype=policy)
        report = export_tflite(mixed, tmp_path / "mixed.tflite", calibration=clips)
        assert report.largest_difference < 1e-5
        assert report.path.read_bytes() == exported.path.read_bytes()


def test_generated_clips_without_calibration(model, tmp_path):
    assert export_tflite(model, tmp_path / "model.tflite").num_clips == 8


def test_file_with_different_predictions_is_not_written(model, clips, tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    path.write_bytes(b"an older file")
    wrong = randomize(small_network(), seed=7)
    monkeypatch.setattr(tflite_content, "convert", lambda _, kind: convert(wrong, kind))
    with pytest.raises(ExportError, match="1e-04"):
        export_tflite(model, path, calibration=clips)
    assert path.read_bytes() == b"an older file"
    assert [entry.name for entry in tmp_path.iterdir()] == ["model.tflite"]


def test_a_failure_while_writing_leaves_nothing(model, clips, tmp_path, monkeypatch):
    def full_disk(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(tflite, "_append_associated_files", full_disk)
    with pytest.raises(OSError, match="no space"):
        export_tflite(model, tmp_path / "model.tflite", calibration=clips)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("argument", "value", "received"),
    [
        ("quantization", "float8", "'float8'"),
        ("calibration", np.zeros((0, 8, 32, 32, 3), np.uint8), "none"),
        ("calibration", np.zeros((1, 8, 32, 32, 3)), "float64"),
        ("calibration", np.zeros((1, 9, 32, 32, 3), np.uint8), r".*\(1, 9"),
        ("path", ".", r"'\.'"),
        ("path", "t3d.lite", "'t3d.lite'"),
        ("model", keras.Sequential(), ".*Sequential"),
    ],
)
def test_wrong_arguments(model, tmp_path, argument, value, received):
    call = {"model": model, "path": tmp_path / "model.tflite", argument: value}
    with pytest.raises(InvalidArgumentError, match=f"(?s)`{argument}`.*Received: {received}"):
        export_tflite(**call)
    assert not list(tmp_path.iterdir())


def test_under_another_backend(model, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExportError, match=r"KERAS_BACKEND=tensorflow.*jax"):
        export_tflite(model, tmp_path / "model.tflite")
    assert not list(tmp_path.iterdir())
