import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import keras_t3d
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.optimization import Learner, make_optimizer
from tests import forked
from tests.conftest import NEEDS_JAX

TINY = {"block_layers": [1], "growth_rate": 4, "stem_filters": 8, "transition_filters": 4}


def train(tmp_path, devices, case, backend="tensorflow"):
    """Runs `steps.py`; returns history and weights."""
    out = tmp_path / f"{backend}-{devices}.npz"
    flags = f"--xla_force_host_platform_device_count={devices} {forked.QUICK_COMPILING}"
    words = ["-m", "tests.optimization.steps", devices, out, json.dumps(case)]
    forked.run(words, backend=backend, env={"XLA_FLAGS": flags}, check=True)
    with np.load(out) as content:
        history = json.loads(str(content["history"]))
        return history, [content[f"w{n}"] for n in range(len(content.files) - 1)]


def assert_same(one, two, tolerance):
    for key, values in one[0].items():
        np.testing.assert_allclose(two[0][key], values, rtol=tolerance, atol=tolerance, err_msg=key)
    for a, b in zip(one[1], two[1], strict=True):
        assert np.isfinite(a).all()
        np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance)


ACCUMULATION = {
    "accumulation": 2,
    "optimizer": ["SGD", {"momentum": 0.9, "global_clipnorm": 0.1}],
}
CASES = {
    "sgd": ({"optimizer": ["SGD", {"momentum": 0.9, "l2": 0.01, "clipnorm": 0.05}]}, 1e-5),
    # Adam divides by the gradient's size: a large epsilon, or rounding decides for tiny ones.
    "adamw": (
        {
            "optimizer": [
                "AdamW",
                {"weight_decay": 0.01, "epsilon": 1e-3, "clipvalue": 1e-3, "use_ema": True},
            ]
        },
        1e-5,
    ),
    "float16": ({"dtype": "mixed_float16", "optimizer": ["SGD", {"global_clipnorm": 0.1}]}, 2e-3),
}


@pytest.fixture(scope="module")
def trained_by_one(tmp_path_factory):
    return train(tmp_path_factory.mktemp("one"), 1, ACCUMULATION)


@pytest.mark.process
def test_two_devices_train_like_one(trained_by_one, tmp_path):
    assert_same(trained_by_one, train(tmp_path, 2, ACCUMULATION), 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_two_devices_train_like_one_with_other_optimizers(tmp_path, name):
    case, tolerance = CASES[name]
    assert_same(train(tmp_path, 1, case), train(tmp_path, 2, case), tolerance)


@pytest.mark.process
def test_devices_agree_on_a_gradient_that_overflows(tmp_path):
    """Where only the first device's part overflows, Keras alone lets the other one step."""
    # Synchronised batch norm would carry the overflow to the other device.
    case = {"dtype": "mixed_float16", "overflow": True, "synchronized": False}
    _, weights = train(tmp_path, 2, case)
    assert all(np.isfinite(weight).all() for weight in weights)


@pytest.mark.process
@pytest.mark.backend
def test_jax_spreads_a_batch_over_devices(trained_by_one, tmp_path):
    pytest.importorskip("jax", reason=NEEDS_JAX)
    history, weights = train(tmp_path, 2, ACCUMULATION, "jax")
    assert history["loss"] == pytest.approx(trained_by_one[0]["loss"], rel=1e-4)
    for a, b in zip(trained_by_one[1], weights, strict=True):
        np.testing.assert_allclose(b, a, atol=1e-4)


def test_float16_scales_the_loss_once():
    network = keras_t3d.models.create(
        "t3d_tiny", input_shape=(4, 16, 16, 3), num_classes=3, dtype="mixed_float16", **TINY
    )
    scaled = keras.optimizers.LossScaleOptimizer(make_optimizer("SGD", 0.1))
    for optimizer in (make_optimizer("SGD", 0.1), "sgd", scaled):
        learner = Learner(network)
        learner.compile(optimizer)
        assert isinstance(learner.optimizer, keras.optimizers.LossScaleOptimizer)
        assert isinstance(learner.optimizer.inner_optimizer, keras.optimizers.SGD)


def tiny():
    return keras_t3d.models.create("t3d_tiny", input_shape=(4, 16, 16, 3), num_classes=3, **TINY)


@pytest.mark.fit
class TestAccumulation:
    """Without batch norm in training mode, parts give the whole batch's gradient."""

    def stepped(self, accumulation):
        keras.utils.set_random_seed(0)
        network = tiny()
        for layer in network._flatten_layers():
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
        learner = Learner(network, accumulation)
        learner.compile(
            make_optimizer("SGD", 0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        )
        clips = np.random.default_rng(0).integers(0, 256, (8, 4, 16, 16, 3)).astype("uint8")
        loss = learner.train_on_batch(clips, np.arange(8) % 3)
        return float(loss), [w.numpy() for w in network.weights], learner

    def test_parts_give_the_gradient_of_the_batch(self):
        loss, weights, whole = self.stepped(1)
        parts_loss, parts_weights, parts = self.stepped(4)
        assert parts_loss == pytest.approx(loss, rel=1e-6)
        for a, b in zip(weights, parts_weights, strict=True):
            np.testing.assert_allclose(b, a, rtol=1e-5, atol=1e-7)
        assert int(whole.optimizer.iterations) == int(parts.optimizer.iterations) == 1

    def test_outputs_match_their_labels(self):
        learner = Learner(tiny(), 2)
        learner.compile(
            make_optimizer("SGD", 1e-9),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        clips = np.random.default_rng(0).integers(0, 256, (6, 4, 16, 16, 3)).astype("uint8")
        # What each clip's own part makes of it, since batch norm sees the parts.
        predicted = np.empty(6, int)
        for part in (slice(0, 6, 2), slice(1, 6, 2)):
            logits = learner.network(clips[part], training=True)
            predicted[part] = np.argmax(logits, -1)
        assert learner.train_on_batch(clips, predicted)[1] == 1.0


@pytest.mark.fit
def test_fit_reads_no_batch_that_it_does_not_train_on():
    read = []

    def batches():
        for number in range(3):
            read.append(number)
            yield np.zeros((2, 4, 16, 16, 3), np.uint8), np.array([0, 1])

    specs = (tf.TensorSpec((2, 4, 16, 16, 3), tf.uint8), tf.TensorSpec((2,), tf.int64))
    learner = Learner(tiny())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    learner.compile(make_optimizer("SGD", 0.1), loss, metrics=["accuracy"])
    learner.fit(tf.data.Dataset.from_generator(batches, output_signature=specs), verbose=0)
    assert read == [0, 1, 2]


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_loss_that_misreads_the_network_is_refused(activation):
    inputs = keras.Input((4, 8, 8, 3))
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(inputs)
    outputs = keras.layers.Dense(2, activation=activation)(x)
    learner = Learner(keras_t3d.models.VideoClassifier(inputs, outputs))
    wrong, right = (
        keras.losses.SparseCategoricalCrossentropy(from_logits=reads_logits)
        for reads_logits in (activation is not None, activation is None)
    )
    with pytest.raises(InvalidArgumentError, match=r"`loss` must read .*: pass loss=") as error:
        learner.compile("sgd", loss=wrong)
    assert error.value.argument == "loss"
    learner.compile("sgd", right)


def test_the_network_is_saved_without_the_learner(tmp_path):
    network = tiny()
    learner = Learner(network)
    learner.compile(make_optimizer("SGD", 0.1), "mse")
    network.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    assert type(again) is type(network)
    assert not again.compiled


@pytest.mark.parametrize("accumulation", [0, 1.5, True])
def test_a_wrong_accumulation_is_refused(accumulation):
    with pytest.raises(ValueError, match=r"`accumulation`"):
        Learner(tiny(), accumulation)


def test_an_unbuilt_network_is_refused():
    with pytest.raises(ValueError, match=r"`network`"):
        Learner(keras.Sequential([keras.layers.Dense(2)]))
