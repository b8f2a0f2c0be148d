import gc
import weakref

import keras
import numpy as np
import pytest

from keras_t3d import ClipSpec
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers import ClipNormalization
from keras_t3d.models import T3D, VideoClassifier

SIZES = {"block_layers": (1,), "growth_rate": 2, "stem_filters": 2}


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


# Names and clips that are replaced.


def test_class_names_may_be_replaced_by_as_many(tmp_path):
    model, other = mixed("float32"), mixed("float32", class_names=["run", "walk"])
    model.class_names = ["run", "walk"]
    assert model.class_names == ("run", "walk")
    assert model.copy_weights_from(other) == []
    model.save(tmp_path / "m.keras")
    assert keras.saving.load_model(tmp_path / "m.keras").class_names == ("run", "walk")
    for wrong in (["a"], [], ["a", "b", "c"], ["a", "a"], "ab", ["a", 1]):
        with pytest.raises(InvalidArgumentError, match="`class_names`"):
            model.class_names = wrong
    assert model.class_names == ("run", "walk")


@pytest.mark.parametrize(
    "names", [(name for name in "ab"), {"a": 1, "b": 2}.keys(), np.array(["a", "b"])], ids=type
)
def test_class_names_are_any_iterable_in_order(names):
    model = own_network(class_names=names)
    assert model.class_names == ("a", "b")
    assert {type(name) for name in model.class_names} == {str}
    assert T3D((4, 16, 16, 3), 2, **SIZES, class_names=iter("ab")).class_names == ("a", "b")


@pytest.mark.parametrize("names", [{"a", "b"}, 2, "ab"], ids=lambda names: type(names).__name__)
def test_other_class_names_are_refused(names):
    for build in (own_network, lambda **options: T3D((4, 16, 16, 3), 2, **SIZES, **options)):
        with pytest.raises(InvalidArgumentError, match=r"`class_names` must be a list.*Received"):
            build(class_names=names)


def test_features_have_no_class_names():
    model = own_network(class_names=[])
    assert (model.class_names, model.num_classes) == ((), 0)
    with pytest.raises(InvalidArgumentError, match="`class_names`"):
        model.class_names = ["a", "b"]


def test_the_clip_spec_may_be_replaced_by_one_of_the_same_shape():
    model = own_network()
    model.clip_spec = ClipSpec(num_frames=4, frame_stride=3, resize=16, crop=16)
    assert model.clip_spec.frame_stride == 3
    with pytest.raises(InvalidArgumentError, match="`clip_spec`"):
        model.clip_spec = ClipSpec(num_frames=8, resize=16, crop=16)


@pytest.mark.parametrize("family", [False, True])
def test_a_clone_has_the_clip_spec_and_class_names(tmp_path, family):
    clip_spec = ClipSpec(num_frames=4, frame_stride=3, resize=20, crop=16)
    options = {"class_names": ["run", "walk"], "clip_spec": clip_spec, "name": "mine"}
    model = mixed("float32", **options) if family else own_network(**options)
    model.compile("sgd")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    clone.save(tmp_path / "clone.keras")
    again = keras.saving.load_model(tmp_path / "clone.keras")
    for network in (clone, again):
        assert type(network) is VideoClassifier
        assert (network.class_names, network.clip_spec, network.stages, network.name) == (
            ("run", "walk"), clip_spec, model.stages, "mine",
        )  # fmt: skip
        assert network.evaluate(CLIPS, IDS, verbose=0) == model.evaluate(CLIPS, IDS, verbose=0)
    assert not {id(weight) for weight in clone.weights} & {id(w) for w in model.weights}


def test_a_clone_is_frozen_where_the_model_is():
    for model in (own_network(), T3D((4, 16, 16, 3), 2, **SIZES)):
        model.trainable = False
        assert not keras.models.clone_model(model).trainable
        model.layers[-1].trainable = True
        clone = keras.models.clone_model(model)
        assert (clone.trainable, clone.layers[-1].trainable) == (False, True)
        model.trainable = True
        model.layers[2].trainable = False
        clone = keras.models.clone_model(model)
        assert [layer.trainable for layer in clone.layers] == [
            layer.trainable for layer in model.layers
        ]
        assert clone.trainable


def test_a_clone_may_have_other_layers():
    def change(layer):
        config = layer.get_config()
        if isinstance(layer, keras.layers.Dense):
            config["kernel_initializer"] = "zeros"
        return type(layer).from_config(config)

    clone = keras.models.clone_model(
        own_network(class_names=["run", "walk"]), clone_function=change
    )
    assert clone.class_names == ("run", "walk")
    assert np.abs(np.asarray(clone(CLIPS))).max() == 0


def test_a_network_on_the_tensors_of_a_clone_has_its_own_names():
    model = own_network(class_names=["run", "walk"])
    clone, original = keras.models.clone_model(model), weakref.ref(model)
    again = VideoClassifier(clone.inputs[0], clone.outputs[0], class_names=["sit", "stand"])
    assert (again.class_names, clone.class_names) == (("sit", "stand"), ("run", "walk"))
    del model
    gc.collect()
    assert original() is None


# Loss scaling.


def mixed(dtype="mixed_float16", **options):
    return T3D((4, 16, 16, 3), 2, **SIZES, dtype=dtype, **options)


@pytest.mark.parametrize("optimizer", ["adam", keras.optimizers.SGD(0.1)])
def test_float16_scales_the_loss_once(tmp_path, optimizer):
    model = mixed()
    model.compile(optimizer)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    assert not isinstance(model.optimizer.inner_optimizer, keras.optimizers.LossScaleOptimizer)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras").optimizer
    assert type(again.inner_optimizer) is type(model.optimizer.inner_optimizer)
    scaled = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    model.compile(scaled)
    assert model.optimizer is scaled


def test_the_loss_is_not_scaled_otherwise():
    model = mixed()
    model.compile("adam", auto_scale_loss=False)
    assert isinstance(model.optimizer, keras.optimizers.Adam)
    for dtype in ("float32", "mixed_bfloat16"):
        model = mixed(dtype)
        model.compile("adam")
        assert isinstance(model.optimizer, keras.optimizers.Adam)
