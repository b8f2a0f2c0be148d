"""A SavedModel: its signatures, its versions, and that it answers as the Keras model does."""

import io
import json
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_t3d
from keras_t3d import models
from keras_t3d.clips import take_view
from keras_t3d.deploy import export_saved_model, saved_model

NAMES = ("walk", "run", "jump é", "sit", "stand", "turn")


@pytest.fixture(scope="module")
def model(small_network):
    return small_network(NAMES)


@pytest.fixture(scope="module")
def clips(model, clips_for):
    return clips_for(model, 2)


@pytest.fixture(scope="module")
def report(model, clips, tmp_path_factory):
    return export_saved_model(model, tmp_path_factory.mktemp("serving") / "t3d", clips)


@pytest.fixture(scope="module")
def served(report):
    return tf.saved_model.load(str(report.path))


def keras_probabilities(model, clips):
    return keras.ops.convert_to_numpy(keras.ops.softmax(model(clips, training=False)))


def videos_of(shape):
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def test_views_answer_as_keras(served, model, clips):
    answer = served.signatures["views"](clips=tf.constant(clips))
    probabilities = answer["probabilities"].numpy()
    expected = keras_probabilities(model, clips)
    assert expected.max() > 0.5  # flat probabilities would hide differences
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected, atol=1e-5)
    best = np.argsort(-expected, axis=1)[:, :5]
    assert [[name.decode() for name in row] for row in answer["top_classes"].numpy()] == [
        [NAMES[index] for index in row] for row in best
    ]
    np.testing.assert_allclose(
        answer["top_scores"], np.take_along_axis(expected, best, axis=1), atol=1e-5
    )


@pytest.mark.parametrize("shape", [(2, 20, 50, 40, 3), (1, 3, 32, 90, 3), (1, 40, 36, 36, 3)])
def test_serving_default_takes_the_centre_view(served, model, shape):
    videos = videos_of(shape)
    answer = served.signatures["serving_default"](clips=tf.constant(videos))
    views = np.stack([take_view(video, model.clip_spec) for video in videos])
    np.testing.assert_allclose(
        answer["probabilities"], keras_probabilities(model, views), atol=1e-5
    )
    assert answer["top_classes"].shape == answer["top_scores"].shape == (len(videos), 5)


def test_serve_jpeg_takes_the_view_of_the_decoded_frames(served):
    encoded = [[_jpeg(frame) for frame in video] for video in videos_of((2, 19, 48, 60, 3))]
    decoded = tf.stack([[tf.io.decode_jpeg(frame) for frame in video] for video in encoded])
    from_jpeg = served.signatures["serve_jpeg"](frames=tf.constant(encoded))
    from_frames = served.signatures["serving_default"](clips=decoded)
    np.testing.assert_array_equal(from_jpeg["probabilities"], from_frames["probabilities"])


def _jpeg(frame):
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "JPEG")
    return buffer.getvalue()


def test_features(served, model):
    videos = videos_of((2, 20, 50, 40, 3))
    features = served.signatures["features"](clips=tf.constant(videos))
    views = np.stack([take_view(video, model.clip_spec) for video in videos])
    assert list(features) == ["embedding"]
    np.testing.assert_allclose(
        features["embedding"], model.feature_model()(views), rtol=1e-4, atol=1e-4
    )


def test_no_operation_needs_xla(served):
    for name, signature in served.signatures.items():
        operations = {op.type for op in signature.graph.get_operations()}
        assert not [op for op in operations if "Xla" in op], name


def test_a_v1_session_answers_by_signature(report, model, clips):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(report.path))
        assert set(meta.signature_def) >= {"serving_default", "serve_jpeg", "views", "features"}
        signature = meta.signature_def["serving_default"]
        videos = videos_of((1, 20, 50, 40, 3))
        probabilities = session.run(
            signature.outputs["probabilities"].name, {signature.inputs["clips"].name: videos}
        )
    views = np.stack([take_view(video, model.clip_spec) for video in videos])
    np.testing.assert_allclose(probabilities, keras_probabilities(model, views), atol=1e-5)


def test_extra_assets(report, model):
    extra = report.path / "assets.extra"
    assert (extra / "labels.txt").read_text(encoding="utf-8").splitlines() == list(NAMES)
    config = json.loads((extra / "clip_spec.json").read_text())
    assert keras_t3d.ClipSpec.from_config(config) == model.clip_spec


def test_each_weight_is_stored_once(report, model):
    stored = tf.train.list_variables(str(report.path / "variables" / "variables"))
    count = sum(int(np.prod(shape)) for name, shape in stored if name.endswith("VARIABLE_VALUE"))
    assert count == model.count_params()


def test_report(report, clips):
    assert report.path.name == "1"
    assert report.num_clips == len(clips)
    assert report.largest_difference < 1e-5
    assert report.num_bytes > 500_000


def test_a_version_appears_whole_under_the_next_number(model, clips, tmp_path, monkeypatch):
    (tmp_path / "9").mkdir()
    (tmp_path / "notes").mkdir()
    before_the_rename = set()

    def look(*arguments, compare=saved_model.largest_difference):
        before_the_rename.update(entry.name for entry in tmp_path.iterdir())
        return compare(*arguments)

    monkeypatch.setattr(saved_model, "largest_difference", look)
    assert export_saved_model(model, tmp_path, clips).path == tmp_path / "10"
    assert len(before_the_rename) == 3
    assert not [name for name in before_the_rename - {"9"} if name.isdecimal()]
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["10", "9", "notes"]


def test_a_failure_while_writing_leaves_nothing(model, clips, tmp_path, monkeypatch):
    class FullDisk:
        def write_out(self, folder, verbose):
            pathlib.Path(folder, "saved_model.pb").write_text("half of a gr")
            raise OSError("no space left on device")

    monkeypatch.setattr(saved_model, "_archive", lambda _: FullDisk())
    (tmp_path / "old" / "1").mkdir(parents=True)
    for name in ("old", "new"):
        with pytest.raises(OSError, match="no space"):
            export_saved_model(model, tmp_path / name, clips)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["old", "old/1"]


def test_other_answers_are_not_written(small_network, peaked, model, clips, tmp_path, monkeypatch):
    wrong = peaked(small_network(NAMES), seed=7)
    monkeypatch.setattr(saved_model, "_archive", lambda _, build=saved_model._archive: build(wrong))
    with pytest.raises(RuntimeError, match=r"differ by up to .* 1e-05 is allowed"):
        export_saved_model(model, tmp_path / "t3d", clips)
    assert not list(tmp_path.iterdir())


def test_mixed_precision_gives_float32_probabilities_and_few_classes(small_network, tmp_path):
    mixed = small_network(("walk", "run"), dtype="mixed_bfloat16")
    report = export_saved_model(mixed, tmp_path)  # compares on made clips
    assert report.num_clips == 8
    signatures = tf.saved_model.load(str(report.path)).signatures
    videos = tf.constant(videos_of((1, 20, 50, 40, 3)))
    answer = signatures["serving_default"](clips=videos)
    assert answer["probabilities"].dtype == tf.float32
    assert answer["top_scores"].shape == (1, 2)
    assert signatures["features"](clips=videos)["embedding"].dtype == tf.float32


def test_wrong_arguments(model, clips_for, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"must be a folder.*Received: a file"):
        export_saved_model(model, tmp_path / "file")
    with pytest.raises(ValueError, match=r"VideoClassifier.*Received: .*Sequential"):
        export_saved_model(keras.Sequential(), tmp_path / "out")
    inputs = keras.Input((4, 16, 16, 3))
    x = keras.layers.GlobalAveragePooling3D()(inputs)
    unnamed = models.VideoClassifier(inputs, keras.layers.Dense(2)(x))
    with pytest.raises(ValueError, match=r"(?s)name that layer 'embedding'.*Received"):
        export_saved_model(unnamed, tmp_path / "out", clips_for(unnamed, 1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
