"""Measures batch statistics on some devices; run by a test in a process of its own.

`python -m tests.optimization.statistics DEVICES OUT`
"""

import sys

import numpy as np


def main(devices, out):
    import keras
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * devices
    )
    import keras_t3d
    from keras_t3d.optimization import Learner, precise_batch_statistics

    strategy = tf.distribute.MirroredStrategy([f"CPU:{n}" for n in range(devices)])
    with strategy.scope():
        norm = keras_t3d.layers.ClipBatchNormalization()
        learner = Learner(keras.Sequential([keras.Input((2, 3, 3, 1)), norm]))
    # The first half of the clips has other values than the second.
    clips = np.arange(8, dtype="float32").reshape(8, 1, 1, 1, 1) * np.ones(
        (1, 2, 3, 3, 1), "float32"
    )
    dataset = tf.data.Dataset.from_tensors(clips).unbatch().batch(8)
    batches = strategy.experimental_distribute_dataset(dataset)
    precise_batch_statistics(learner.network, learner.run_in_training, batches)
    assert not norm.synchronized
    np.savez(out, mean=norm.moving_mean.numpy(), variance=norm.moving_variance.numpy())


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
