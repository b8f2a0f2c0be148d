"""Heat lies where a network reads, for networks and clips where that is known."""

import keras
import numpy as np
import pytest

from keras_t3d import models
from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.evaluation import HeatMaps, grad_cam
from keras_t3d.layers import ClipNormalization, GlobalDeviationPooling3D
from tests.battery import SMALL_SHAPE, noise_clips, randomize
from tests.models.test_battery import CASES

SPEC = ClipSpec(num_frames=4, frame_stride=1, resize=32, crop=32, mean=(0, 0, 0), std=(1, 1, 1))
FAMILIES = ("t3d_causal", "stc_residual")


def brightness_network(pooling=keras.layers.GlobalAveragePooling3D):
    """Returns a network whose feature is the brightness of cells of 4 x 4 pixels."""
    inputs = keras.Input(SPEC.input_shape)
    x = ClipNormalization(SPEC.mean, SPEC.std)(inputs)
    x = keras.layers.AveragePooling3D((1, 4, 4), name="cells")(x)
    x = keras.layers.Conv3D(1, 1, use_bias=False, kernel_initializer="ones", name="sum")(x)
    x = pooling(name="embedding")(x)
    outputs = keras.layers.Dense(2, name="logits")(x)
    network = models.VideoClassifier(inputs, outputs, SPEC, ["dark", "bright"])
    kernel = np.zeros((x.shape[-1], 2))
    kernel[-1] = -1, 1  # of the deviation where there is one
    network.get_layer("logits").set_weights([kernel, np.zeros(2)])
    return network


def clip_with_square(frames, rows, columns):
    clip = np.zeros(SPEC.input_shape, np.uint8)
    clip[frames, rows, columns] = 255
    return clip


def test_heat_lies_on_the_only_bright_square_and_frame():
    clip = clip_with_square(slice(2, 3), slice(8, 12), slice(20, 24))
    found = grad_cam(brightness_network(), clip)
    assert (found.class_name, found.heat.shape) == ("bright", SPEC.input_shape[:-1])
    assert found.heat.max() == found.heat[2, 8:12, 20:24].max() == 1
    np.testing.assert_array_equal(found.heat[[0, 1, 3]], 0)
    # Cells are interpolated between their middles, so nothing is warm a cell away.
    assert found.heat[2, 4:16, 16:28].sum() == pytest.approx(found.heat.sum())
    np.testing.assert_allclose(found.over_time, [0, 0, found.heat.sum() / 32**2, 0], rtol=1e-5)


def test_nothing_speaks_for_the_other_class():
    clip = clip_with_square(slice(0, 4), slice(8, 12), slice(20, 24))
    found = grad_cam(brightness_network(), clip, "dark")
    assert found.class_name == "dark"
    assert found.probability < 0.5
    np.testing.assert_array_equal(found.heat, 0)


def test_after_an_average_pool_both_methods_are_the_class_activation_map():
    network = brightness_network()
    clip = np.random.default_rng(0).integers(0, 256, SPEC.input_shape, np.uint8)
    features = keras.ops.convert_to_numpy(network.feature_model("sum")(clip[None]))[0, ..., 0]
    for method in ("hires_cam", "grad_cam"):
        _, heat, index = HeatMaps(network, method=method).compute(clip, "bright")
        assert index == 1
        np.testing.assert_allclose(heat, features / features.size, rtol=1e-5)


def test_deviation_pooling_is_explained_value_by_value():
    clip = clip_with_square(slice(1, 2), slice(0, 16), slice(0, 16))
    network = brightness_network(GlobalDeviationPooling3D)
    _, heat, _ = HeatMaps(network).compute(clip, "bright")
    assert heat[1, :4, :4].min() > 0
    heat[1, :4, :4] = 0
    np.testing.assert_array_equal(heat, 0)


def test_an_earlier_layer_may_be_named():
    network = brightness_network()
    clip = clip_with_square(slice(0, 4), slice(8, 12), slice(20, 24))
    _, heat, _ = HeatMaps(network, "cells").compute(clip)
    assert np.argwhere(heat).tolist() == [[frame, 2, 5] for frame in range(4)]


def test_probabilities_are_explained_as_logits_are():
    plain = brightness_network()
    softmax = keras.layers.Softmax()(plain.outputs[0])
    network = models.VideoClassifier(plain.inputs, softmax, SPEC, plain.class_names)
    clip = clip_with_square(slice(0, 1), slice(8, 12), slice(20, 24))
    expected, found = (grad_cam(one, clip) for one in (plain, network))
    assert found.class_name == expected.class_name == "bright"
    assert found.probability == pytest.approx(expected.probability)
    np.testing.assert_allclose(found.heat, expected.heat, atol=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_families_are_explained_at_their_end_and_at_a_stage(name):
    build, options, shapes = CASES[name]
    network = randomize(build(SMALL_SHAPE, 3, **options))
    clip = noise_clips(1)[0]
    stage, last = list(shapes)[-2], list(shapes)[-1]
    for layer, shape in ((None, shapes[last]), (stage, shapes[stage])):
        probabilities, heat, index = HeatMaps(network, layer).compute(clip)
        assert heat.shape == shape[:-1]
        assert np.isfinite(heat).all()
        assert index == probabilities.argmax()


@pytest.mark.slow
@pytest.mark.parametrize("name", models.list_models())
def test_every_named_network(name):
    spec = ClipSpec.for_input_shape((16, 64, 64, 3))
    network = models.create(name, spec.input_shape, 3)
    found = grad_cam(network, np.zeros(spec.input_shape, np.uint8))
    assert found.heat.shape == (16, 64, 64)


def test_what_cannot_be_explained(lite_path, saved_model_path):
    network = brightness_network()
    clip = np.zeros(SPEC.input_shape, np.uint8)
    for path in (lite_path, saved_model_path):
        with pytest.raises(InvalidArgumentError, match=r"`model` must be a \.keras file"):
            grad_cam(path, clip)
    with pytest.raises(InvalidArgumentError, match=r"`class_name`.*'bright'"):
        grad_cam(network, clip, "brigt")
    with pytest.raises(InvalidArgumentError, match=r"`layer`.*Did you mean 'cells'"):
        grad_cam(network, clip, layer="cell")
    with pytest.raises(InvalidArgumentError, match="`layer`"):
        grad_cam(network, clip, layer="embedding")
    with pytest.raises(InvalidArgumentError, match="`method`"):
        grad_cam(network, clip, method="saliency")
    with pytest.raises(InvalidArgumentError, match="`clip`"):
        grad_cam(network, clip[:2])


def test_a_layer_beside_which_another_path_runs_is_refused():
    inputs = keras.Input(SPEC.input_shape)
    x = keras.layers.Conv3D(2, 1, name="first")(inputs)
    beside = keras.layers.Conv3D(2, 1, name="second")(x)
    pooled = keras.layers.GlobalAveragePooling3D()(keras.layers.Add()([x, beside]))
    network = models.VideoClassifier(inputs, keras.layers.Dense(2)(pooled), SPEC)
    with pytest.raises(InvalidArgumentError, match=r"`layer`.*'second'"):
        HeatMaps(network, "second")
