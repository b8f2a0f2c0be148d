import keras
import numpy as np
import pytest

from keras_t3d import ClipSpec
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers import ClipNormalization
from keras_t3d.models import VideoClassifier


def own_network(**options):
    inputs = keras.Input((4, 16, 16, 3))
    x = ClipNormalization()(inputs)
    x = keras.layers.Conv3D(4, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(x)
    return VideoClassifier(inputs, keras.layers.Dense(2)(x), **options)


def test_a_custom_network_saves_and_loads(tmp_path):
    clip_spec = ClipSpec(num_frames=4, frame_stride=1, resize=20, crop=16)
    model = own_network(class_names=["run", "walk"], clip_spec=clip_spec, name="mine")
    clips = np.random.default_rng(0).integers(0, 256, (3, 4, 16, 16, 3)).astype("uint8")
    model.save(tmp_path / "own.keras")
    again = keras.saving.load_model(tmp_path / "own.keras")
    assert isinstance(again, VideoClassifier)
    assert (again.name, again.class_names, again.clip_spec) == ("mine", ("run", "walk"), clip_spec)
    assert np.array_equal(model(clips), again(clips))
    assert again.feature_model()(clips).shape == (3, 4)


def test_defaults_follow_from_the_network():
    model = own_network()
    assert model.class_names == ("class_0", "class_1")
    assert model.clip_spec.input_shape == (4, 16, 16, 3)


def test_inputs_and_outputs_may_be_lists_of_one():
    model = own_network()
    again = VideoClassifier(model.inputs, [keras.layers.Dense(3)(model.layers[-2].output)])
    assert again.clip_spec == model.clip_spec
    assert (again.num_classes, again(CLIPS).shape) == (3, (4, 3))
    with pytest.raises(InvalidArgumentError, match=r"`outputs`.*2 tensors"):
        VideoClassifier(model.inputs, [model.output, model.layers[-2].output])


def test_class_names_and_clip_spec_must_fit():
    with pytest.raises(InvalidArgumentError, match="`class_names`"):
        own_network(class_names=["a", "b", "c"])
    with pytest.raises(InvalidArgumentError, match="`class_names`"):
        own_network(class_names=["a", "b\nc"])
    with pytest.raises(InvalidArgumentError, match="`class_names`"):
        own_network(class_names="ab")
    with pytest.raises(InvalidArgumentError, match="clip_spec"):
        own_network(clip_spec=ClipSpec())


CLIPS = np.random.default_rng(0).integers(0, 256, (4, 4, 16, 16, 3)).astype("uint8")
IDS = np.array([0, 1, 1, 0])


@pytest.mark.parametrize("labels", [IDS, IDS[:, None], np.eye(2, dtype="float32")[IDS]])
def test_compile_without_a_loss_reads_logits_and_either_labels(labels):
    model = own_network()
    model.compile("sgd")
    by_keras = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    logits = model(CLIPS)
    loss, accuracy = model.evaluate(CLIPS, labels, verbose=0)
    assert loss == pytest.approx(float(by_keras(IDS, logits)), rel=1e-5)
    assert accuracy == np.mean(np.argmax(np.asarray(logits), -1) == IDS)


def test_a_loaded_model_is_compiled_as_before(tmp_path):
    model = own_network()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), metrics=["accuracy"])
    model.fit(CLIPS, IDS, epochs=2, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert int(again.optimizer.iterations) == 2
    assert again.evaluate(CLIPS, IDS, verbose=0) == model.evaluate(CLIPS, IDS, verbose=0)


@pytest.mark.parametrize(
    "loss",
    [
        "sparse_categorical_crossentropy",
        "CategoricalCrossentropy",
        "crossentropy",
        keras.losses.sparse_categorical_crossentropy,
        keras.losses.CategoricalCrossentropy(),
        keras.losses.KLDivergence(),
    ],
)
def test_losses_of_probabilities_are_rejected(loss):
    with pytest.raises(InvalidArgumentError, match="from_logits=True") as error:
        own_network().compile("sgd", loss)
    assert error.value.argument == "loss"


@pytest.mark.parametrize(
    "loss",
    [None, "mse", keras.losses.CategoricalCrossentropy(from_logits=True), lambda y, x: x],
)
def test_other_losses_are_accepted(loss):
    own_network().compile("sgd", loss)


def test_probabilities_take_losses_of_probabilities():
    inputs = keras.Input((4, 16, 16, 3))
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(ClipNormalization()(inputs))
    model = VideoClassifier(inputs, keras.layers.Dense(2, activation="softmax")(x))
    model.compile("sgd", "sparse_categorical_crossentropy")
