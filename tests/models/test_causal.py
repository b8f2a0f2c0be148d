"""Causal networks: no feature depends on a later frame, and weights are those of any network."""

import keras
import numpy as np
import pytest

from keras_t3d.models import inflation
from tests.battery import array, noise_clips, randomize
from tests.models.test_battery import CASES

SHAPE = (16, 32, 32, 3)


def build(case, **options):
    factory, own, _ = CASES[case]
    return randomize(factory(SHAPE, 3, **{**own, "causal": True, **options}))


@pytest.mark.parametrize("case", ["t3d", "stc_residual", "r2plus1d_18", "t3d_lite"])
def test_features_depend_on_no_later_frame(case):
    network = build(case)
    stages = network.feature_model(*network.stages)
    clips = noise_clips(1, SHAPE)
    others = clips.copy()
    others[:, 8:] = 0
    for one, other in zip(stages(clips), stages(others), strict=True):
        half = one.shape[1] // 2
        if half:
            np.testing.assert_allclose(array(one)[:, :half], array(other)[:, :half], atol=1e-5)
            assert not np.allclose(array(one)[:, half:], array(other)[:, half:])


def test_weights_of_a_network_that_is_not_causal_are_a_start(tmp_path):
    start = build("t3d", causal=False)
    start.save(tmp_path / "start.keras")
    network = build("t3d", weights=tmp_path / "start.keras")
    assert network.get_config()["causal"]
    network.copy_weights_from(start)
    for one, other in zip(network.weights, start.weights, strict=True):
        assert np.array_equal(array(one), array(other))
    again = keras.saving.load_model(tmp_path / "start.keras")
    assert not again.get_config()["causal"]


def test_the_frame_of_an_output_is_the_last_tap_of_an_inflated_kernel():
    network = build("t3d")
    own_tap = inflation._own_tap(network)
    assert [own_tap(depth) for depth in (1, 3, 6)] == [0, 2, 5]
