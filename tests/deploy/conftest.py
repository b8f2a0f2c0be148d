"""Small networks whose answers tell one graph from another."""

import numpy as np
import pytest

from keras_t3d import models
from keras_t3d.clips import ClipSpec


@pytest.fixture(scope="session")
def small_network(peaked):
    """Builds a T3D for clips of 8x32x32, two frames apart, from frames resized to 36."""
    spec = ClipSpec(num_frames=8, frame_stride=2, resize=36, crop=32)

    def build(class_names, dtype=None):
        network = models.T3DTiny(
            input_shape=spec.input_shape,
            num_classes=len(class_names),
            class_names=class_names,
            clip_spec=spec,
            dtype=dtype,
        )
        return peaked(network, seed=0)

    return build


@pytest.fixture(scope="session")
def peaked():
    """Sets weights by a seed: statistics and biases that matter, and clear-cut answers."""

    def assign(model, seed=0):
        rng = np.random.default_rng(seed)
        for weight in model.weights:
            if weight.path.endswith(("gamma", "moving_variance")):
                weight.assign(rng.uniform(0.5, 2.0, weight.shape))
            elif weight.path.endswith(("beta", "moving_mean", "bias")):
                weight.assign(rng.normal(0.0, 0.5, weight.shape))
            else:
                fan_in = np.prod(weight.shape[:-1])
                weight.assign(rng.normal(0.0, (2 / fan_in) ** 0.5, weight.shape))
        return model

    return assign


@pytest.fixture(scope="session")
def clips_for():
    """Makes clips of noise for a network."""

    def make(model, num_clips):
        shape = (num_clips, *model.clip_spec.input_shape)
        return np.random.default_rng(0).integers(0, 256, shape, np.uint8)

    return make
