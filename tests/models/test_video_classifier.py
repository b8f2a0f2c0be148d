import keras
import numpy as np
import pytest

from keras_t3d import ClipSpec
from keras_t3d.layers import ClipNormalization
from keras_t3d.models import VideoClassifier


def own_network(**options):
    inputs = keras.Input((4, 16, 16, 3))
    x = ClipNormalization()(inputs)
    x = keras.layers.Conv3D(4, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(x)
    return VideoClassifier(inputs, keras.layers.Dense(2)(x), **options)


def test_a_network_of_ones_own_saves_and_loads(tmp_path):
    spec = ClipSpec(num_frames=4, frame_stride=1, resize=20, crop=16)
    model = own_network(class_names=["run", "walk"], clip_spec=spec, name="mine")
    clips = np.random.default_rng(0).integers(0, 256, (3, 4, 16, 16, 3)).astype("uint8")
    model.save(tmp_path / "own.keras")
    again = keras.saving.load_model(tmp_path / "own.keras")
    assert isinstance(again, VideoClassifier)
    assert (again.name, again.class_names, again.clip_spec) == ("mine", ("run", "walk"), spec)
    assert np.array_equal(model(clips), again(clips))
    assert again.feature_model()(clips).shape == (3, 4)


def test_what_is_left_out_follows_from_the_network():
    model = own_network()
    assert model.class_names == ("class_0", "class_1")
    assert model.clip_spec.input_shape == (4, 16, 16, 3)


def test_names_and_spec_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="2 names"):
        own_network(class_names=["a", "b", "c"])
    with pytest.raises(ValueError, match="single-line"):
        own_network(class_names=["a", "b\nc"])
    with pytest.raises(ValueError, match="2 names"):
        own_network(class_names="ab")
    with pytest.raises(ValueError, match="clip_spec"):
        own_network(clip_spec=ClipSpec())
