import keras
import numpy as np
import pytest

import keras_t3d
from keras_t3d.optimization import (
    freeze_batch_norms,
    precise_batch_statistics,
    synchronize_batch_norms,
)
from keras_t3d.optimization.batch_statistics import batch_norms
from tests import forked

TINY = {"block_layers": [1], "growth_rate": 4, "stem_filters": 8, "transition_filters": 4}


def tiny(**options):
    return keras_t3d.models.create(
        "t3d_tiny", input_shape=(4, 16, 16, 3), num_classes=3, **TINY, **options
    )


class TestPrecise:
    def test_means_and_variances_are_over_all_batches(self):
        norm = keras_t3d.layers.ClipBatchNormalization()
        network = keras.Sequential([keras.Input((2, 3, 3, 2)), norm])
        rng = np.random.default_rng(0)
        batches = [rng.normal(n, n + 1, (4, 2, 3, 3, 2)).astype("float32") for n in range(3)]
        network(batches[0], training=True)  # what stood there before does not matter
        assert precise_batch_statistics(network, lambda x: network(x, training=True), batches) == 3
        everything = np.concatenate(batches).reshape(-1, 2)
        np.testing.assert_allclose(norm.moving_mean, everything.mean(0), rtol=1e-5)
        # Keras averages variances of n values divided by n or n - 1, by backend and kernel.
        np.testing.assert_allclose(norm.moving_variance, everything.var(0), rtol=0.02)

    def test_every_batch_norm_but_frozen_ones(self):
        network = tiny()
        network.get_layer("stem").trainable = False
        before = {v.path: v.numpy() for v in network.non_trainable_variables}
        clips = np.random.default_rng(0).integers(0, 256, (4, 4, 16, 16, 3))
        precise_batch_statistics(network, lambda x: network(x, training=True), [clips])
        for layer in batch_norms(network):
            assert not np.array_equal(layer.moving_mean, before[layer.moving_mean.path])
        stem = [v for v in network.get_layer("stem").variables if "moving" in v.path]
        assert stem
        assert all(np.array_equal(v, before[v.path]) for v in stem)

    def test_no_batch_is_refused(self):
        with pytest.raises(ValueError, match=r"`batches`"):
            precise_batch_statistics(tiny(), print, [])


def test_all_batch_norms_are_frozen():
    network = tiny()
    count = len(batch_norms(network))
    assert freeze_batch_norms(network) == count == 4
    assert batch_norms(network) == []
    assert {weight.name for weight in network.trainable_weights} == {"kernel", "bias"}
    clips = np.random.default_rng(0).integers(0, 256, (4, 4, 16, 16, 3))
    np.testing.assert_array_equal(network(clips, training=True), network(clips))


def test_synchronized_batch_norms_are_not_saved_as_such(tmp_path):
    network = tiny()
    count = synchronize_batch_norms(network)
    assert count == len(batch_norms(network)) > 3
    assert all(layer.synchronized for layer in batch_norms(network))
    network.save(tmp_path / "a.keras")
    again = keras.saving.load_model(tmp_path / "a.keras")
    assert not any(layer.synchronized for layer in batch_norms(again))


@pytest.mark.process
def test_statistics_are_over_all_devices(tmp_path):
    """Each device trains with its own; what is measured is over all of them."""
    forked.run(["-m", "tests.optimization.statistics", 2, tmp_path / "a.npz"], check=True)
    with np.load(tmp_path / "a.npz") as found:
        np.testing.assert_allclose(found["mean"], [np.arange(8).mean()], rtol=1e-5)
        np.testing.assert_allclose(found["variance"], [np.arange(8).var()], rtol=0.02)
