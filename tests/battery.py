"""What every layer and every network here must do; the tests run it over all of them."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_t3d import ClipSpec

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
    check_gradients(cls(**options), x)
    check_inference_assigns_nothing(cls(**options), x)
    check_saving(cls(**options), x, folder / "layer.keras")


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


def check_gradients(layer: keras.layers.Layer, x: np.ndarray) -> None:
    for variable, gradient in gradients_of(layer, x):
        assert gradient is not None, variable.path
        assert np.isfinite(array(gradient)).all(), variable.path
        assert np.any(array(gradient)), f"{variable.path} gets no gradient"


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
    for policy in POLICIES:
        check_logits(build(dtype=policy), clips, policy)
    check_pixels(build(), clips)
    check_stages(build(), stage_shapes, clips)
    check_without_top(build, clips)
    check_dropout(build, clips)
    check_model_saving(build, clips, folder)
    check_training(build, clips)


def check_logits(model: Any, clips: np.ndarray, policy: str) -> None:
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


def check_without_top(build: Callable[..., Any], clips: np.ndarray) -> None:
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
    with_top = build()
    assert with_top.copy_weights_from(whole) == ["logits"]
    assert whole.copy_weights_from(with_top) == []
    assert np.array_equal(array(whole(clips)), features)


def check_dropout(build: Callable[..., Any], clips: np.ndarray) -> None:
    """A dropout layer stands before the logits, and drops in training only."""
    plain, dropping = build(dropout=0.0), build(dropout=0.9)
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


def check_training(build: Callable[..., Any], clips: np.ndarray) -> None:
    """One step, kept and rematerialised: the same loss, gradients and moving averages.

    With plain gradient descent at rate 1 a weight's difference is its gradient.
    """
    labels = np.arange(len(clips)) % 3
    kept = randomize(build())
    again = build(rematerialize=True)
    again.set_weights(kept.get_weights())
    assert np.array_equal(array(kept(clips)), array(again(clips)))
    before = kept.get_weights()
    losses = [fit_one_step(model, clips, labels) for model in (kept, again)]
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


def fit_one_step(model: Any, clips: np.ndarray, labels: np.ndarray) -> float:
    """Loss of one batch; the weights follow its gradient at rate 1."""
    model.compile(
        keras.optimizers.SGD(1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    history = model.fit(clips, labels, batch_size=len(clips), verbose=0).history
    return history["loss"][0]


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
