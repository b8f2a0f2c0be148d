"""Trains a few steps on some devices; run by tests in a process of its own.

`python -m tests.optimization.steps DEVICES OUT '{"accumulation": 2}'` with either backend.
Devices of a process can be divided only before it uses them, and a process that has run one
program of collective operations cannot run another on the same devices.
"""

import contextlib
import json
import sys

import numpy as np

BATCH, STEPS = 8, 4


def scope_of(devices):
    """Divides this process's CPU; returns the scope to make models in."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        parts = [tf.config.LogicalDeviceConfiguration()] * devices
        cpu = tf.config.list_physical_devices("CPU")[0]
        tf.config.set_logical_device_configuration(cpu, parts)
        return tf.distribute.MirroredStrategy([f"CPU:{n}" for n in range(devices)]).scope
    if devices > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    return contextlib.nullcontext


def main(devices, out, case):
    import keras

    scope = scope_of(devices)
    import keras_t3d
    from keras_t3d.clips.padded_labels import padded_labels
    from keras_t3d.optimization import (
        CrossEntropy,
        Learner,
        make_optimizer,
        synchronize_batch_norms,
    )

    keras.utils.set_random_seed(0)
    name, options = case.get("optimizer", ("SGD", {"momentum": 0.9, "nesterov": True}))
    with scope():
        network = keras_t3d.models.create(
            "t3d_tiny",
            input_shape=(4, 16, 16, 3),
            num_classes=3,
            dtype=case.get("dtype", "float32"),
            block_layers=[1],
            growth_rate=4,
            stem_filters=8,
            transition_filters=4,
        )
        if case.get("synchronized", True):
            synchronize_batch_norms(network)
        for index, kernel in enumerate(v for v in network.weights if len(v.shape) > 1):
            rng = np.random.default_rng(index)  # the same on every backend
            kernel.assign(rng.normal(0, np.prod(kernel.shape[:-1]) ** -0.5, kernel.shape))
        learner = Learner(network, case.get("accumulation", 1))
        optimizer = make_optimizer(
            name,
            0.05,
            decays=lambda v: len(v.shape) > 1,
            rate_of=lambda v: 0.5 if "stem" in v.path else 1.0,
            **options,
        )
        if case.get("dtype") == "mixed_float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        learner.compile(optimizer, CrossEntropy(0.1), metrics=["accuracy"])
    rng = np.random.default_rng(0)
    clips = rng.integers(0, 256, (2 * BATCH, 4, 16, 16, 3)).astype("uint8")
    labels = rng.integers(0, 3, 2 * BATCH)
    arrays = (clips, labels)
    if case.get("overflow"):  # where half of a batch has a gradient that float16 cannot hold
        arrays += (np.array([1e30] * 4 + [1.0] * 12, "float32"),)
    real = 13
    is_real = (np.arange(2 * BATCH) < real).astype("float32")
    history = learner.fit(
        batches(arrays),
        epochs=2,
        steps_per_epoch=STEPS // 2,
        validation_data=batches((clips, padded_labels(labels, is_real))),
        validation_steps=2,
        shuffle=False,
        verbose=0,
    ).history
    logits = keras.ops.convert_to_numpy(network(clips[:real], training=False))
    tolerance = 2e-2 if case.get("dtype") else 1e-4
    loss = float(CrossEntropy(0.1)(labels[:real], logits))
    np.testing.assert_allclose(history["val_loss"][-1], loss, rtol=tolerance)
    accuracy = np.mean(logits.argmax(-1) == labels[:real])
    np.testing.assert_allclose(history["val_accuracy"][-1], accuracy, atol=tolerance)
    if keras.backend.backend() == "tensorflow":
        assert_replicas_agree(network)
    arrays = {f"w{n}": keras.ops.convert_to_numpy(v) for n, v in enumerate(network.weights)}
    assert learner.data_wait > 0
    np.savez(out, history=json.dumps(history), **arrays)


def assert_replicas_agree(network):
    import tensorflow as tf

    strategy = network.distribute_strategy
    for variable in network.trainable_variables:
        first, *others = strategy.experimental_local_results(variable.value)
        for other in others:
            np.testing.assert_array_equal(tf.convert_to_tensor(other), tf.convert_to_tensor(first))


def batches(arrays):
    """Endless batches of a tuple or a dict of arrays."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(arrays).batch(BATCH).repeat()

    class Batches(keras.utils.PyDataset):
        num_batches = None

        def __getitem__(self, index):
            start = index * BATCH % len(keras.tree.flatten(arrays)[0])
            return keras.tree.map_structure(lambda array: array[start : start + BATCH], arrays)

    return Batches()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]))
