"""What every layer and every network here must do; the tests run it over all of them."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_t3d import ClipSpec
from keras_t3d.private_interfaces import flatten_layers
from tests import keras_exports

POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")
SMALL_SHAPE = (8, 32, 32, 3)


# Layers.


def check_layer(
    cls: type[keras.layers.Layer],
    options: Mapping[str, Any],
    input_shape: Sequence[int],
    output_shape: Sequence[int],
    folder: pathlib.Path,
) -> None:
    """Runs the whole battery for a layer.

    Args:
        cls: the layer's class.
        options: arguments of the class.
        input_shape: shape of an input, the batch included.
        output_shape: shape that the layer must make of it.
        folder: where files may be written.
    """
    keras.utils.set_random_seed(0)  # a ReLU of few units may be dead by chance
    x = np.random.default_rng(0).normal(size=input_shape).astype("float32")
    check_shapes(cls(**options), x, output_shape)
    check_configuration(cls, options)
    for policy in POLICIES:
        check_policy(cls(**options, dtype=policy), x)
    check_inference_assigns_nothing(cls(**options), x)
    check_saving(cls(**options), x, folder / "layer.keras")
    check_frozen_parts(cls, options, x)
    check_pure_bfloat16(cls(**options, dtype="bfloat16"), x)
    check_global_settings(cls, options, x)
    check_unknown_sizes(cls(**options), x)


def check_shapes(layer: keras.layers.Layer, x: np.ndarray, output_shape: Sequence[int]) -> None:
    assert tuple(layer.compute_output_shape(x.shape)) == tuple(output_shape)
    symbolic = layer(keras.Input(x.shape[1:]))
    assert layer.built
    assert tuple(symbolic.shape) == (None, *output_shape[1:])
    assert tuple(layer(x).shape) == tuple(output_shape)


def check_configuration(cls: type[keras.layers.Layer], options: Mapping[str, Any]) -> None:
    layer = cls(**options, name="one_of_its_own", dtype="mixed_bfloat16", trainable=False)
    config = layer.get_config()
    by_keras = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    for again in (cls.from_config(config), by_keras):
        assert type(again) is cls
        assert again.get_config() == config
        assert (again.name, again.trainable) == ("one_of_its_own", False)
        assert again.compute_dtype == "bfloat16"
    for name in options:
        assert name in config, f"{cls.__name__}.get_config leaves out {name!r}"


def check_policy(layer: keras.layers.Layer, x: np.ndarray) -> None:
    """Computes in the policy's dtype, forwards and backwards; variables stay float32."""
    for training in (False, True):
        out = layer(x, training=training) if takes_training(layer) else layer(x)
        assert dtype_of(out) == layer.compute_dtype
        assert np.isfinite(array(out)).all()
    assert {dtype_of(variable) for variable in layer.variables} <= {"float32"}
    for variable, gradient in gradients_of(layer, x):
        assert gradient is not None, variable.path
        assert dtype_of(gradient) == "float32"
        assert np.isfinite(array(gradient)).all(), variable.path
        if layer.compute_dtype == "float32":
            assert np.any(array(gradient)), f"{variable.path} gets no gradient"


def check_frozen_parts(
    cls: type[keras.layers.Layer], options: Mapping[str, Any], x: np.ndarray
) -> None:
    """Copies have the trainable flags of every layer inside, whether they are built or not."""
    frozen = cls(**options, trainable=False)
    frozen.build(x.shape)
    assert not any(inner.trainable for inner in flatten_layers(frozen))
    for freeze in FREEZINGS:
        layer = cls(**options)
        layer.build(x.shape)
        freeze(layer, flatten_layers(layer, include_self=False))
        from_config = cls.from_config(layer.get_config())
        again = cls.from_config(from_config.get_config())
        for other in (from_config, again):
            other.build(x.shape)
            check_same_flags(other, layer)
    # A copy that Keras builds, with every other layer frozen.
    by_keras = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(layer))
    check_same_flags(by_keras, layer)


def check_pure_bfloat16(layer: keras.layers.Layer, x: np.ndarray) -> None:
    """Computes with weights in half precision too, forwards and backwards."""
    for training in (False, True):
        out = layer(x, training=training) if takes_training(layer) else layer(x)
        assert dtype_of(out) == "bfloat16"
        assert np.isfinite(array(out)).all()
    assert {dtype_of(variable) for variable in layer.variables} <= {"bfloat16"}
    for variable, gradient in gradients_of(layer, x):
        assert np.isfinite(array(gradient)).all(), variable.path


def check_global_settings(
    cls: type[keras.layers.Layer], options: Mapping[str, Any], x: np.ndarray
) -> None:
    """A layer of a given dtype is the same whatever keras.json or `keras.config` say."""
    layer = cls(**options, dtype="float32")
    expected = array(layer(x))
    with other_global_settings():
        again = cls.from_config(layer.get_config())
        again.build(x.shape)
        again.set_weights(layer.get_weights())
        assert np.array_equal(array(again(x)), expected)


def check_unknown_sizes(layer: keras.layers.Layer, x: np.ndarray) -> None:
    """A built layer reads tensors of which a pipeline does not know the sizes."""
    expected = array(layer(x))
    found = in_graph(layer, tf.TensorSpec([None] * x.ndim, tf.float32))(x)
    np.testing.assert_allclose(array(found), expected, rtol=1e-5, atol=1e-5)


def check_inference_assigns_nothing(layer: keras.layers.Layer, x: np.ndarray) -> None:
    if not takes_training(layer):
        layer(x)
        assert not layer.non_trainable_variables
        return
    layer(x, training=True)
    before = values_of(layer)
    layer(x, training=False)
    layer(x)
    for variable, value in zip(layer.variables, before, strict=True):
        assert np.array_equal(array(variable), value), variable.path
    # Whatever is averaged is averaged in training.
    layer(x, training=True)
    for variable in layer.non_trainable_variables:
        index = [id(v) for v in layer.variables].index(id(variable))
        assert not np.array_equal(array(variable), before[index]), variable.path


def check_saving(layer: keras.layers.Layer, x: np.ndarray, path: pathlib.Path) -> None:
    inputs = keras.Input(x.shape[1:])
    model = randomize(keras.Model(inputs, layer(inputs)))
    model.save(path)
    again = keras.saving.load_model(path)
    assert again.layers[-1].get_config() == layer.get_config()
    assert np.array_equal(array(model(x)), array(again(x)))


# Networks.


def check_model(
    factory: Callable[..., Any],
    options: Mapping[str, Any],
    stage_shapes: Mapping[str, Sequence[int]],
    folder: pathlib.Path,
    input_shape: tuple[int, int, int, int] = SMALL_SHAPE,
) -> None:
    """Runs the whole battery for a network.

    Args:
        factory: a class or function of keras_t3d.models.
        options: arguments that make the network small, all but `input_shape` and `num_classes`.
        stage_shapes: shape of what each stage puts out, without the batch.
        folder: where files may be written.
        input_shape: shape of a clip.
    """

    def build(**more: Any) -> Any:
        top = {} if more.get("include_top") is False else {"num_classes": 3}
        return factory(**{"input_shape": input_shape, **options, **top, **more})

    keras.utils.set_random_seed(0)
    clips = noise_clips(2, input_shape)
    # Building takes most of the time. Each check that gets the model draws its weights anew.
    model, *others = (build(dtype=policy) for policy in POLICIES)
    for policy, network in zip(POLICIES, (model, *others), strict=True):
        check_logits(network, clips, policy)
    check_pixels(model, clips)
    check_stages(model, stage_shapes, clips)
    check_without_top(model, build, clips)
    check_dropout(model, build, clips)
    check_model_saving(build, clips, folder)
    check_frozen_layers(build, folder)
    check_model_settings(model, build, clips, folder)
    check_clips_of_unknown_sizes(model, clips)
    check_training(model, build, clips)


def check_logits(model: Any, clips: np.ndarray, policy: str) -> None:
    assert model.outputs_are == "logits"
    for training in (False, True):
        logits = model(clips, training=training)
        assert tuple(logits.shape) == (len(clips), 3)
        assert dtype_of(logits) == "float32"
        assert np.isfinite(array(logits)).all()
    assert model.layers[2].compute_dtype == policy.removeprefix("mixed_")
    assert {dtype_of(variable) for variable in model.variables} == {"float32"}


def check_pixels(model: Any, clips: np.ndarray) -> None:
    """Bytes and floats of the same pixels give the same logits, which depend on the clip."""
    randomize(model)
    logits = array(model(clips))
    assert np.array_equal(logits, array(model(clips.astype("float32"))))
    assert not np.allclose(logits[0], logits[1])


def check_stages(model: Any, stage_shapes: Mapping[str, Sequence[int]], clips: np.ndarray) -> None:
    assert list(model.stages) == list(stage_shapes)
    features = model.feature_model(*stage_shapes)(clips)
    for (stage, shape), feature in zip(stage_shapes.items(), features, strict=True):
        assert tuple(feature.shape) == (len(clips), *shape), stage
    last = list(stage_shapes.values())[-1]
    embedding = model.feature_model()(clips)
    assert tuple(embedding.shape) == (len(clips), last[-1])


def check_without_top(with_top: Any, build: Callable[..., Any], clips: np.ndarray) -> None:
    """Features pooled by hand are those of the network that pools."""
    whole = randomize(build(include_top=False, pooling=None))
    features = array(whole(clips))
    assert features.ndim == 5
    assert (whole.class_names, whole.num_classes) == ((), 0)
    for pooling, by_hand in (("avg", np.mean), ("max", np.max)):
        model = build(include_top=False, pooling=pooling)
        assert model.copy_weights_from(whole) == []
        assert model.layers[-1].name == "embedding"
        pooled = by_hand(features, axis=(1, 2, 3))
        np.testing.assert_allclose(array(model(clips)), pooled, rtol=1e-5, atol=1e-5)
        again = type(model).from_config(model.get_config())
        assert again.get_config() == model.get_config()
        assert again.class_names == ()
    # With a head, all but the head is taken over; and the other way round.
    randomize(with_top, seed=1)
    assert with_top.copy_weights_from(whole) == ["logits"]
    assert whole.copy_weights_from(with_top) == []
    assert np.array_equal(array(whole(clips)), features)


def check_dropout(plain: Any, build: Callable[..., Any], clips: np.ndarray) -> None:
    """A dropout layer stands before the logits, and drops in training only."""
    dropping = build(dropout=0.9)
    randomize(plain)
    assert [layer.name for layer in plain.layers if "dropout" in layer.name] == []
    assert [layer.name for layer in dropping.layers][-3:] == ["embedding", "dropout", "logits"]
    dropping.set_weights([*plain.get_weights(), *dropping.get_weights()[len(plain.weights) :]])
    assert np.array_equal(array(plain(clips)), array(dropping(clips)))
    embedding = dropping.get_layer("dropout")(np.ones((4, 256), "float32"), training=True)
    assert 0.02 < np.mean(array(embedding) > 0) < 0.25


def check_model_saving(build: Callable[..., Any], clips: np.ndarray, folder: pathlib.Path) -> None:
    frames, height, width, _ = clips.shape[1:]
    spec = ClipSpec(
        num_frames=frames,
        frame_stride=3,
        resize=max(height, width) + 8,
        crop=(height, width),
        mean=(0.4, 0.5, 0.6),
    )
    names = ("run", "walk", "sit down")
    model = randomize(build(clip_spec=spec, class_names=names, name="mine", dropout=0.2))
    model.save(folder / "model.keras")
    from_file = keras.saving.load_model(folder / "model.keras")
    assert np.array_equal(array(model(clips)), array(from_file(clips)))
    for again in (from_file, type(model).from_config(model.get_config())):
        assert type(again) is type(model)
        assert (again.clip_spec, again.class_names, again.name) == (spec, names, "mine")
        assert again.get_config() == model.get_config()
        assert again.stages == model.stages


def check_frozen_layers(build: Callable[..., Any], folder: pathlib.Path) -> None:
    """A copy has the trainable flag of every layer, and a file the state of the optimizer too."""
    for freeze in (_freeze_all_but_the_last, _freeze_every_other):
        model = build(name="frozen")
        freeze(model, flatten_layers(model, include_self=False))
        check_same_flags(type(model).from_config(model.get_config()), model)
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
    model.optimizer.build(model.trainable_variables)
    for number, variable in enumerate(model.optimizer.variables, start=1):
        variable.assign(np.full(variable.shape, number))
    model.save(folder / "frozen.keras")
    check_same_flags(again := keras.saving.load_model(folder / "frozen.keras"), model)
    for one, its in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        assert np.array_equal(array(its), array(one)), one.path


def check_same_flags(copy: Any, layer: Any) -> None:
    assert trainable_paths(copy) == trainable_paths(layer)
    for its, one in zip(flatten_layers(copy), flatten_layers(layer), strict=True):
        assert its.trainable == one.trainable or not one.weights, one.path  # Keras's inputs


def check_model_settings(
    model: Any, build: Callable[..., Any], clips: np.ndarray, folder: pathlib.Path
) -> None:
    """What a network is, and what its file loads as, does not depend on keras.config."""
    randomize(model).save(folder / "same.keras")
    expected, config = array(model(clips)), model.get_config()
    with other_global_settings():
        loaded = keras.saving.load_model(folder / "same.keras")
        built = build(dtype="float32", name=model.name)
        built.set_weights(model.get_weights())
        features = build(include_top=False, pooling="max", dtype="float32")
        for other in (loaded, built):
            assert other.get_config() == config
            assert np.array_equal(array(other(clips)), expected)
            assert other.dtype_policy == model.dtype_policy
    assert features.output_shape == (None, *model.get_layer("embedding").output.shape[1:])


def check_clips_of_unknown_sizes(model: Any, clips: np.ndarray) -> None:
    """As `from_generator` and `py_function` return them; sizes that do not fit are named."""
    expected = array(randomize(model)(clips))
    features = model.feature_model()
    embedding = array(features(clips))
    called = in_graph(model, tf.TensorSpec(None, tf.uint8))  # not even the rank
    np.testing.assert_allclose(array(called(clips)), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(tf.errors.InvalidArgumentError, match=str(clips.shape[1] - 1)):
        called(clips[:, 1:])
    called = in_graph(features, tf.TensorSpec((None,) * 5, tf.uint8))
    np.testing.assert_allclose(array(called(clips)), embedding, rtol=1e-4, atol=1e-4)


def check_training(kept: Any, build: Callable[..., Any], clips: np.ndarray) -> None:
    """One step, kept and rematerialised: the same loss, gradients and moving averages.

    With plain gradient descent at rate 1 a weight's difference is its gradient.
    """
    labels = np.arange(len(clips)) % 3
    randomize(kept)
    again = build(rematerialize=True)
    again.set_weights(kept.get_weights())
    assert np.array_equal(array(kept(clips)), array(again(clips)))
    before = kept.get_weights()
    losses = [
        fit_one_step(kept, clips, labels, eagerly=True),  # tracing takes longer than the step
        fit_one_step(again, clips, labels),
    ]
    assert np.isfinite(losses[0])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
    for variable, old, one, other in zip(
        kept.weights, before, kept.get_weights(), again.get_weights(), strict=True
    ):
        assert np.isfinite(one).all(), variable.path
        assert not np.array_equal(one, old), f"{variable.path} did not move"
        scale = max(np.abs(one - old).max(), 1e-3)
        np.testing.assert_allclose(
            other - old, one - old, rtol=0, atol=2e-3 * scale, err_msg=variable.path
        )


def check_keras_export(model: Any, name: str, clips: np.ndarray, folder: pathlib.Path) -> None:
    """Keras's own export in a format computes what the model does."""
    randomize(model)
    clips = clips.astype("float32")
    found = keras_exports.export_and_run(model, name, clips, folder)
    np.testing.assert_allclose(found, array(model(clips)), rtol=1e-4, atol=1e-4)


def fit_one_step(
    model: Any, clips: np.ndarray, labels: np.ndarray, *, eagerly: bool = False
) -> float:
    """Loss of one batch; the weights follow its gradient at rate 1."""
    model.compile(
        keras.optimizers.SGD(1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        run_eagerly=eagerly,
        jit_compile=False,
    )
    return float(model.train_on_batch(clips, labels))


# What is frozen, and global settings.


def _freeze_all(layer: Any, inside: Sequence[Any]) -> None:
    layer.trainable = False


def _freeze_all_but_the_last(layer: Any, inside: Sequence[Any]) -> None:
    layer.trainable = False
    for inner in inside[-1:]:
        inner.trainable = True


def _freeze_every_other(layer: Any, inside: Sequence[Any]) -> None:
    for inner in inside[1::2]:
        inner.trainable = False


def _freeze_batch_norms(layer: Any, inside: Sequence[Any]) -> None:
    for inner in inside:
        if isinstance(inner, keras.layers.BatchNormalization):
            inner.trainable = False


FREEZINGS = (_freeze_all, _freeze_batch_norms, _freeze_all_but_the_last, _freeze_every_other)


def trainable_paths(layer: Any) -> list[str]:
    """Paths of the trainable weights within a layer, in the order that an optimizer gets."""
    own = f"{layer.name}/"
    return [weight.path.removeprefix(own) for weight in layer.trainable_weights]


@contextlib.contextmanager
def other_global_settings() -> Iterator[None]:
    """Sets all that keras.json and `keras.config` may say otherwise than by default."""
    config = keras.config
    before = (config.image_data_format(), config.floatx(), config.epsilon(), config.dtype_policy())
    config.set_image_data_format("channels_first")
    config.set_floatx("float16")
    config.set_epsilon(0.5)
    config.set_dtype_policy("mixed_bfloat16")
    try:
        yield
    finally:
        config.set_image_data_format(before[0])
        config.set_floatx(before[1])
        config.set_epsilon(before[2])
        config.set_dtype_policy(before[3])


# Inputs, weights and gradients.


def noise_clips(count: int, shape: Sequence[int] = SMALL_SHAPE, seed: int = 0) -> np.ndarray:
    """uint8 clips of noise, each of its own brightness."""
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 128, (count, *shape))
    return (noise + rng.integers(0, 128, (count, 1, 1, 1, 3))).astype("uint8")


def randomize(model: Any, seed: int = 0) -> Any:
    """Sets all weights by a seed, so that statistics, biases and scales matter."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.path.endswith(("gamma", "moving_variance")):
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        elif len(weight.shape) > 1:
            fan_in = np.prod(weight.shape[:-1])
            weight.assign(rng.normal(0.0, (2 / fan_in) ** 0.5, weight.shape))
        elif dtype_of(weight) == "float32":  # the others are a dropout's seeds
            weight.assign(rng.normal(0.0, 0.3, weight.shape))
    return model


def gradients_of(layer: keras.layers.Layer, x: np.ndarray, **call: Any) -> list[tuple[Any, Any]]:
    """Trainable weights and their gradients of a loss that weighs every output differently."""
    layer.build(x.shape) if not layer.built else None
    if takes_training(layer):
        call = {"training": True, **call}
    with tf.GradientTape() as tape:
        y = keras.ops.cast(layer(x, **call), "float32")
        weights = np.random.default_rng(1).normal(size=y.shape).astype("float32")
        loss = keras.ops.sum(y * weights)
    variables = layer.trainable_variables
    return list(zip(variables, tape.gradient(loss, [v.value for v in variables]), strict=True))


def in_graph(layer: Any, spec: tf.TensorSpec) -> Callable[[Any], Any]:
    """A graph of the layer for inputs of a shape that may be known in part."""

    @tf.function(input_signature=[spec])
    def computed(clips: Any) -> Any:
        return layer(clips)

    return computed


def takes_training(layer: keras.layers.Layer) -> bool:
    return bool(layer._call_has_training_arg)


def values_of(layer: Any) -> list[np.ndarray]:
    return [array(variable).copy() for variable in layer.variables]


def array(tensor: Any) -> np.ndarray:
    """A tensor or variable as float32 or whatever NumPy has of its own."""
    if dtype_of(tensor) in ("bfloat16", "float16"):
        tensor = keras.ops.cast(tensor, "float32")
    return keras.ops.convert_to_numpy(tensor)


def dtype_of(tensor: Any) -> str:
    return keras.backend.standardize_dtype(tensor.dtype)
