"""A network that learned motions finds them where the object is, not in the clutter around it."""

import keras
import numpy as np
import pytest

from keras_t3d.clips import ClipSpec
from keras_t3d.evaluation import HeatMaps
from keras_t3d.evaluation.heat_overlay import stretch
from keras_t3d.models import T3D
from keras_t3d.motion_set import rendering
from keras_t3d.motion_set.generation import motion_path

pytestmark = [pytest.mark.slow, pytest.mark.fit]

SPEC = ClipSpec(num_frames=8, frame_stride=1, resize=32, crop=32)
NAMES = ("move_left", "move_right", "grow", "shrink")
EPOCHS, BATCH = 10, 16


def rendered(count, seed):
    """Returns clips, labels, and where the object is: bool (clips, frames, height, width)."""
    labels = np.arange(count) % len(NAMES)
    clips, places = [], []
    for number, label in enumerate(labels):
        rng = np.random.default_rng((seed, number))
        path = motion_path(NAMES[label], SPEC.num_frames, rng)
        clips.append(rendering.draw_video(path, SPEC.resize, rng))
        places.append(covered(path))
    return np.stack(clips), labels, np.stack(places)


def covered(path):
    """Returns the pixels within the radius of the object; opposite edges are joined."""
    grid = (np.arange(SPEC.resize) + 0.5) / SPEC.resize

    def distance(centre):
        apart = np.abs(grid - centre % 1)
        return np.minimum(apart, 1 - apart)

    states = zip(path.x, path.y, path.radius, strict=True)
    return np.stack([distance(x) ** 2 + distance(y)[:, None] ** 2 < r**2 for x, y, r in states])


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    clips, labels, _ = rendered(800, seed=0)
    network = T3D(
        SPEC.input_shape,
        len(NAMES),
        block_layers=(2, 2),
        growth_rate=12,
        stem_filters=16,
        stem_kernel=(3, 5, 5),
        stem_stride=(1, 2, 2),
        stem_pool_stride=(1, 1, 1),
        transition_filters=12,
        clip_spec=SPEC,
        class_names=NAMES,
    )
    steps = EPOCHS * len(clips) // BATCH
    rate = keras.optimizers.schedules.CosineDecay(
        0.0025, steps - steps // 10, warmup_target=0.05, warmup_steps=steps // 10
    )
    optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=1e-4)
    network.compile(optimizer, jit_compile=False)
    network.fit(clips, labels, batch_size=BATCH, epochs=EPOCHS, verbose=0)
    return network


@pytest.mark.parametrize("layer", [None, "transition1", "block1"])
@pytest.mark.parametrize("method", ["hires_cam", "grad_cam"])
def test_most_heat_lies_on_the_object(network, layer, method):
    """Measured: 57 to 63 % of the heat, on an object that covers 28 % of the pixels."""
    maps, found = HeatMaps(network, layer, method), []
    for clip, label, place in zip(*rendered(80, seed=1), strict=True):
        _, values, index = maps.compute(clip)
        if index == label:
            heat = stretch(values, place.shape)
            found.append((heat[place].sum() / heat.sum(), place.mean()))
    share, area = np.array(found).T
    assert len(found) >= 60  # it did learn
    assert area.mean() < 0.35
    assert share.mean() > 1.5 * area.mean()
    assert np.mean(share > area) > 0.85
