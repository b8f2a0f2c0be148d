import keras
import numpy as np
import pytest

from keras_t3d.transfer import FrameTeacher, load_teacher
from tests.transfer.pairs import batch, tiny_teacher, values_of


def test_features_are_the_mean_over_frames():
    teacher = tiny_teacher()
    clips = batch([0, 1])["clips"]
    expected = [
        np.mean([teacher.network(frame[None] / 127.5 - 1.0)[0] for frame in clip], axis=0)
        for clip in clips.astype("float32")
    ]
    np.testing.assert_allclose(teacher(clips), expected, rtol=1e-5)
    assert teacher.compute_output_shape(clips.shape) == (2, 6)


def test_the_data_format_of_keras_json_changes_nothing():
    frames = batch([0])["clips"][0]
    teacher = tiny_teacher()
    torch = FrameTeacher(teacher.network, "torch", image_size=12)
    expected = [np.asarray(each.frame_features(frames)) for each in (teacher, torch)]
    keras.config.set_image_data_format("channels_first")
    try:
        found = [np.asarray(each.frame_features(frames)) for each in (teacher, torch)]
        network = load_teacher("MobileNetV3Small", weights=None, image_size=32).network
        assert keras.config.image_data_format() == "channels_first"
    finally:
        keras.config.set_image_data_format("channels_last")
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])
    assert network.input_shape == (None, 32, 32, 3)


def test_clips_are_independent():
    teacher = tiny_teacher()
    clips = batch([0, 1, 2])["clips"]
    together = np.asarray(teacher(clips))
    for row, clip in enumerate(clips):
        np.testing.assert_allclose(together[row], teacher(clip[None])[0], rtol=1e-5)


def test_it_is_frozen_and_in_inference_mode():
    teacher = tiny_teacher()
    before = values_of(teacher)
    first, second = teacher(batch([0])["clips"]), teacher(batch([0])["clips"], training=True)
    np.testing.assert_array_equal(first, second)  # no dropout, no batch statistics
    assert teacher.trainable_variables == []
    for a, b in zip(before, values_of(teacher), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("none", lambda x: x),
        ("zero_one", lambda x: x / 255),
        ("tf", lambda x: x / 127.5 - 1),
        ("torch", lambda x: (x / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("caffe", lambda x: x[..., ::-1] - [103.939, 116.779, 123.68]),
        (lambda x: x * 3.0, lambda x: x * 3),
    ],
)
def test_preprocessing(name, expected):
    identity = keras.Sequential([keras.Input((2, 2, 3)), keras.layers.Activation("linear")])
    frames = np.random.default_rng(0).integers(0, 256, (1, 2, 2, 3)).astype("uint8")
    features = FrameTeacher(identity, name).frame_features(frames)
    mean = expected(frames.astype("float64")).mean(axis=(1, 2))
    np.testing.assert_allclose(features, mean, rtol=1e-5, atol=1e-4)


def test_frames_are_resized_to_the_input_of_the_network():
    shapes = []

    def seen(frames):
        shapes.append(tuple(frames.shape))
        return frames

    frames = batch([0])["clips"][0]
    fixed = keras.Sequential([keras.Input((12, 10, 3)), keras.layers.GlobalAveragePooling2D()])
    free = keras.Sequential([keras.Input((None, None, 3)), keras.layers.GlobalAveragePooling2D()])
    FrameTeacher(fixed, seen).frame_features(frames)
    FrameTeacher(free, seen).frame_features(frames)
    FrameTeacher(free, seen, image_size=8).frame_features(frames)
    assert shapes == [(4, 12, 10, 3), (4, 16, 16, 3), (4, 8, 8, 3)]


class TestLoadTeacher:
    @pytest.mark.export
    def test_efficientnet_lite_reads_pixels(self):
        teacher = load_teacher("EfficientNetLite0", weights=None, image_size=32)
        assert (teacher.preprocessing, teacher.width) == ("none", 1280)

    def test_keras_applications_have_their_own_preprocessing(self):
        teacher = load_teacher("MobileNetV3Small", weights=None)
        assert teacher.width == 576
        assert teacher.preprocessing is keras.applications.mobilenet_v3.preprocess_input
        assert load_teacher("DenseNet121", weights=None).preprocessing is (
            keras.applications.densenet.preprocess_input
        )

    def test_weights_from_a_file(self, tmp_path):
        source = keras.applications.MobileNetV3Small(include_top=False, pooling="avg", weights=None)
        source.save_weights(tmp_path / "notop.weights.h5")
        teacher = load_teacher("MobileNetV3Small", weights=tmp_path / "notop.weights.h5")
        for mine, theirs in zip(teacher.network.weights, source.weights, strict=True):
            np.testing.assert_array_equal(mine, theirs)

    @pytest.mark.parametrize("apart", [False, True])
    def test_the_classifier_of_a_saved_model_is_removed(self, tmp_path, apart):
        inputs = keras.Input((8, 8, 3))
        features = keras.layers.GlobalAveragePooling2D(name="gap")(inputs)
        outputs = keras.layers.Dense(4, activation=None if apart else "softmax")(features)
        if apart:
            outputs = keras.layers.Softmax()(outputs)
        keras.Model(inputs, outputs).save(tmp_path / "stills.keras")
        teacher = load_teacher(tmp_path / "stills.keras", preprocessing="zero_one")
        assert teacher.width == 3
        frames = np.full((1, 8, 8, 3), 51, np.uint8)
        np.testing.assert_allclose(teacher.frame_features(frames), [[0.2, 0.2, 0.2]], rtol=1e-6)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({"name_or_path": "DenseNet12"}, "Received: 'DenseNet12'"),
            ({"name_or_path": "densenet"}, "Received: 'densenet'"),
            (
                {"name_or_path": "DenseNet121", "weights": "none.h5"},
                "`weights`.*none.h5",
            ),
            ({"name_or_path": "a.keras"}, "`preprocessing`"),
            ({"name_or_path": "a.keras", "preprocessing": "tf"}, r"a\.keras"),
        ],
    )
    def test_wrong_arguments_are_rejected(self, arguments, message):
        with pytest.raises(ValueError, match=message):
            load_teacher(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"network": 3}, "`network`.*3"),
        ({"network": keras.Sequential([keras.Input((4, 4, 4, 3))])}, "`network`"),
        ({"preprocessing": "pytorch"}, "`preprocessing`.*'pytorch'"),
        ({"image_size": 0}, "`image_size`.*0"),
    ],
)
def test_wrong_arguments_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        FrameTeacher(**{"network": tiny_teacher().network, "preprocessing": "tf"} | arguments)


class TestFingerprint:
    def of(self, network, preprocessing="tf", image_size=None):
        return FrameTeacher(network, preprocessing, image_size).fingerprint()

    def network(self, strides=1, activation="relu", value=0.5):
        convolution = keras.layers.Conv2D(2, 3, strides, activation=activation)
        network = keras.Sequential([keras.Input((None, None, 3)), convolution])
        for weight in network.weights:
            weight.assign(np.full(weight.shape, value))
        return network

    def test_depends_on_weights_and_preprocessing(self):
        networks = [
            {},
            {"strides": 2},
            {"activation": "tanh"},
            {"value": 0.25},
        ]
        found = {self.of(self.network(**options)) for options in networks}
        same = self.network()
        found |= {self.of(same, "caffe"), self.of(same, image_size=8)}
        found |= {self.of(same, lambda x: x * 2.0), self.of(same, lambda x: x * 3.0)}
        found |= {self.of(same, lambda x: x[..., ::-1] * 2.0)}
        found |= {self.of(same, lambda x: keras.ops.mean(x, -1, keepdims=True) * [2.0, 2.0, 2.0])}
        assert len(found) == 10

    def test_does_not_depend_on_names(self):
        """Keras numbers layers: the second network of a process has other names."""
        assert self.of(self.network()) == self.of(self.network())
        assert self.of(self.network(), "zero_one") == self.of(self.network(), lambda x: x / 255.0)

    def test_is_kept_by_saving(self, tmp_path):
        teacher = tiny_teacher()
        teacher.network.save(tmp_path / "t.keras")
        assert load_teacher(tmp_path / "t.keras", preprocessing="tf").fingerprint() == (
            teacher.fingerprint()
        )
