"""SavedModels: signatures, versions, and predictions equal to Keras."""

import dataclasses
import io
import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import keras_t3d
from keras_t3d import cli, models
from keras_t3d.clips import take_view
from keras_t3d.data import ClipReader
from keras_t3d.data.shards.record import stored_video
from keras_t3d.data.shards.record_file import read_record, record_offsets
from keras_t3d.deploy import (
    ExportError,
    SavedModelOptions,
    export_saved_model,
    saved_model,
    signatures,
)
from keras_t3d.errors import InvalidArgumentError
from tests.deploy.networks import NAMES, clips_for, randomize, small_network

pytestmark = pytest.mark.export


@pytest.fixture(scope="module")
def served(report):
    return tf.saved_model.load(str(report.path))


@pytest.fixture
def copied_graph(report, monkeypatch):
    """Makes exports copy the graph of `report` instead of writing one."""

    def copy_graph(model, folder, frozen):
        shutil.copytree(report.path, folder, dirs_exist_ok=True)

    monkeypatch.setattr(saved_model, "write_graph", copy_graph)


def keras_probabilities(model, clips):
    return keras.ops.convert_to_numpy(keras.ops.softmax(model(clips, training=False)))


def videos_of(shape):
    return np.random.default_rng(1).integers(0, 256, shape, np.uint8)


def test_views_equal_keras(served, model, clips):
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


def test_signature_in_a_v1_session(report, model):
    videos = videos_of((1, 20, 50, 40, 3))
    views = np.stack([take_view(video, model.clip_spec) for video in videos])
    np.testing.assert_allclose(
        by_session(report.path, "serving_default", videos),
        keras_probabilities(model, views),
        atol=1e-5,
    )


def by_session(path, name, clips):
    """Probabilities as TF Serving would have them."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(path))
        assert set(meta.signature_def) >= {"serving_default", "serve_jpeg", "views", "features"}
        signature = meta.signature_def[name]
        return session.run(
            signature.outputs["probabilities"].name, {signature.inputs["clips"].name: clips}
        )


def test_serve_jpeg_of_a_record_equals_the_evaluation_view(served, model, shards):
    """The clip is the same to the bit, and so are the probabilities."""
    views = ClipReader(shards, "test", model.clip_spec, batch_size=1).as_views_of_records()
    clips = {ids.numpy()[0].decode(): clip for clip, _, ids, _ in views}
    records = [video for path in sorted(shards.glob("test-*")) for video in videos_in(path)]
    assert len(records) == len(clips) == 8
    for video in records:
        frames = tf.constant([video.frames])
        in_graph = signatures.centre_views_of_encoded(frames, model.clip_spec)
        np.testing.assert_array_equal(in_graph, clips[video.video_id])
    from_jpeg = served.signatures["serve_jpeg"](frames=frames)
    from_view = served.signatures["views"](clips=clips[video.video_id])
    np.testing.assert_array_equal(from_jpeg["probabilities"], from_view["probabilities"])


def videos_in(path):
    with path.open("rb") as file:
        return [stored_video(read_record(file, at)) for at in record_offsets(path)]


def test_frames_are_decoded_one_by_one(served, model):
    """A large frame uses memory of its own size only; sizes may differ."""
    frames = [videos_of((1, 40 + index, 50, 3))[0] for index in range(15)]
    spec = dataclasses.replace(model.clip_spec, num_frames=1)
    answer = served.signatures["serve_jpeg"](frames=tf.constant([[_jpeg(f) for f in frames]]))
    decoded = [tf.io.decode_jpeg(_jpeg(frame)).numpy() for frame in frames[::2]]
    clip = np.concatenate([take_view(frame[None], spec) for frame in decoded])
    expected = served.signatures["views"](clips=tf.constant(clip[None]))
    # Two graphs, whose sums need not have the same order.
    np.testing.assert_allclose(answer["probabilities"], expected["probabilities"], rtol=1e-5)


def test_files_returns_the_text_files(served, report):
    names = ["clip_spec.json", "labels.txt", "labels.txt"]
    contents = served.signatures["files"](names=tf.constant(names))["contents"].numpy()
    extra = report.path / "assets.extra"
    assert [text.decode() for text in contents] == [
        (extra / name).read_text(encoding="utf-8") for name in names
    ]


def test_class_names_are_an_asset_of_the_graph(report):
    assert (report.path / "assets" / "labels.txt").read_text("utf-8").splitlines() == list(NAMES)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(report.path))
    assert [asset.filename for asset in meta.asset_file_def] == ["labels.txt"]


def test_extra_assets(report, model):
    extra = report.path / "assets.extra"
    assert (extra / "labels.txt").read_text(encoding="utf-8").splitlines() == list(NAMES)
    config = json.loads((extra / "clip_spec.json").read_text())
    assert keras_t3d.ClipSpec.from_config(config) == model.clip_spec


def test_all_signatures_share_one_copy_of_the_weights(report, model):
    """The weights are constants of the graph, which holds little else."""
    assert report.num_bytes < 1.5 * 4 * model.count_params()
    assert _stored_values(report.path) == 0


def test_report(report, clips):
    assert report.path.name == "1"
    assert report.num_clips == len(clips)
    assert report.largest_difference < 1e-5
    assert report.num_bytes > 500_000
    assert report.frozen


@pytest.mark.usefixtures("copied_graph")
def test_complete_version_gets_the_next_number(model, clips, tmp_path, monkeypatch):
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
    def write_half(model, folder, frozen):
        (folder / "saved_model.pb").write_text("half of a gr")
        raise OSError("no space left on device")

    monkeypatch.setattr(saved_model, "write_graph", write_half)
    (tmp_path / "old" / "1").mkdir(parents=True)
    for name in ("old", "new"):
        with pytest.raises(OSError, match="no space"):
            export_saved_model(model, tmp_path / name, clips)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["old", "old/1"]


@pytest.mark.usefixtures("copied_graph")
def test_different_predictions_are_not_written(clips, tmp_path):
    other = randomize(small_network(), seed=7)
    with pytest.raises(ExportError, match="1e-05"):
        export_saved_model(other, tmp_path / "t3d", clips)
    assert not list(tmp_path.iterdir())


def test_mixed_precision_gives_float32_probabilities_and_few_classes(tmp_path):
    mixed = small_network(("walk", "run"), dtype="mixed_bfloat16")
    report = export_saved_model(mixed, tmp_path)  # compares on made clips
    assert report.num_clips == 8
    signatures = tf.saved_model.load(str(report.path)).signatures
    videos = tf.constant(videos_of((1, 20, 50, 40, 3)))
    answer = signatures["serving_default"](clips=videos)
    assert answer["probabilities"].dtype == tf.float32
    assert answer["top_scores"].shape == (1, 2)
    assert signatures["features"](clips=videos)["embedding"].dtype == tf.float32


@pytest.mark.usefixtures("copied_graph")
def test_concurrent_exports_get_different_numbers(model, clips, tmp_path, monkeypatch):
    """The second starts and ends while the first, which saw an empty directory, compares."""
    second = []

    def export_another(*arguments, compare=saved_model.largest_difference):
        if not second:
            second.append(None)
            second[0] = export_saved_model(model, tmp_path / "t3d", clips)
        return compare(*arguments)

    monkeypatch.setattr(saved_model, "largest_difference", export_another)
    first = export_saved_model(model, tmp_path / "t3d", clips)
    assert {second[0].path.name, first.path.name} == {"1", "2"}
    assert sorted(entry.name for entry in (tmp_path / "t3d").iterdir()) == ["1", "2"]
    for version in (first, second[0]):
        assert (version.path / "saved_model.pb").is_file()


def test_original_error_is_raised_despite_another_export(model, clips, tmp_path, monkeypatch):
    def fail(model, folder, frozen):
        (tmp_path / "t3d" / "1").mkdir()
        raise MemoryError("no memory")

    monkeypatch.setattr(saved_model, "write_graph", fail)
    with pytest.raises(MemoryError, match="no memory"):
        export_saved_model(model, tmp_path / "t3d", clips)
    assert [entry.name for entry in (tmp_path / "t3d").iterdir()] == ["1"]


def test_version_has_the_permissions_of_new_directories(report, tmp_path):
    """TF Serving may be another user."""
    (tmp_path / "new").mkdir()
    mode = (tmp_path / "new").stat().st_mode
    assert {path.stat().st_mode for path in report.path.rglob("*") if path.is_dir()} == {mode}
    assert report.path.stat().st_mode == mode


@pytest.mark.parametrize(
    ("too_large", "frozen", "is_frozen"),
    [(0, None, True), (1, None, False), (0, False, False), (1, True, True)],
)
def test_default_of_frozen_depends_on_size(model, monkeypatch, too_large, frozen, is_frozen):
    monkeypatch.setattr(saved_model, "_FOLDED_BY_DEFAULT", 4 * model.count_params() - too_large)
    assert saved_model._is_frozen(model, frozen) is is_frozen


def test_weights_without_frozen_are_variables(model, model_path, clips, tmp_path, capsys):
    words = ["export", "saved-model", str(model_path), str(tmp_path / "t3d")]
    assert cli.main([*words, "--no-frozen"]) == 0
    assert "weights in variables" in capsys.readouterr().out
    assert _stored_values(tmp_path / "t3d" / "1") == model.count_params()
    np.testing.assert_allclose(
        by_session(tmp_path / "t3d" / "1", "views", clips),
        keras_probabilities(model, clips),
        atol=1e-5,
    )


def test_weights_above_the_graph_limit_cannot_be_frozen(model, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(saved_model, "_FOLDED_LIMIT", 4 * model.count_params() - 1)
    with pytest.raises(InvalidArgumentError, match=r"`frozen`.*Received: True"):
        export_saved_model(model, tmp_path / "t3d", clips, options=SavedModelOptions(frozen=True))
    assert not list(tmp_path.iterdir())


def _stored_values(folder):
    stored = tf.train.list_variables(str(folder / "variables" / "variables"))
    return sum(np.prod(shape) for name, shape in stored if name.endswith("VARIABLE_VALUE"))


def test_under_another_backend(model, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExportError, match=r"KERAS_BACKEND=tensorflow.*jax"):
        export_saved_model(model, tmp_path / "t3d")
    assert not list(tmp_path.iterdir())


def test_parallel_iterations_are_limited(report):
    """Many large frames in parallel would fill the memory of a server with many cores."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(report.path))
    at_once = sorted(
        node.attr["parallel_iterations"].i
        for function in meta.graph_def.library.function
        for node in function.node_def
        if node.op in ("While", "StatelessWhile")
    )
    assert at_once == [1, 1, 4]  # serving_default, features, serve_jpeg


def test_model_of_other_layers(tmp_path):
    inputs = keras.Input((4, 16, 16, 3))
    x = keras.layers.Conv3D(8, 3, activation="gelu")(inputs / 255.0)
    x = Bias()(keras.layers.BatchNormalization()(x))
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(x)
    network = models.VideoClassifier(inputs, keras.layers.Dense(2)(x))
    clips = clips_for(randomize(network), 2)
    report = export_saved_model(network, tmp_path, clips)
    views = tf.saved_model.load(str(report.path)).signatures["views"]
    np.testing.assert_allclose(
        views(clips=tf.constant(clips))["probabilities"],
        keras_probabilities(network, clips),
        atol=1e-5,
    )


class Bias(keras.layers.Layer):
    """A layer with a variable that Keras does not track."""

    def build(self, input_shape):
        self.bias = tf.Variable(tf.range(float(input_shape[-1])))

    def call(self, clips):
        return clips + self.bias


def test_wrong_arguments(model, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidArgumentError, match=r"`directory`.*Received: .*file"):
        export_saved_model(model, tmp_path / "file")
    with pytest.raises(InvalidArgumentError, match=r"`model`.*Received: .*Sequential"):
        export_saved_model(keras.Sequential(), tmp_path / "out")
    inputs = keras.Input((4, 16, 16, 3))
    x = keras.layers.GlobalAveragePooling3D()(inputs)
    unnamed = models.VideoClassifier(inputs, keras.layers.Dense(2)(x))
    with pytest.raises(InvalidArgumentError, match=r"(?s)`model`.*'embedding'.*Received"):
        export_saved_model(unnamed, tmp_path / "out", clips_for(unnamed, 1))
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
