"""Every model family: Keras, the lowered and the folded model compute the same."""

import pytest
import tensorflow as tf

from keras_t3d import models
from keras_t3d.deploy.folding import fold
from keras_t3d.deploy.lowering import lower
from tests.deploy.networks import answers, assert_close, clips_for, randomize

pytestmark = pytest.mark.export

RESNET = {
    "stage_blocks": (1, 2),
    "stage_filters": (4, 6),
    "stem_filters": 4,
    "stem_kernel": (3, 3, 3),
}
BASIC = {**RESNET, "block": "basic"}
BOTTLENECK = {**RESNET, "block": "bottleneck", "stage_filters": (4, 8), "expansion": 2}
DENSENET = {"block_layers": (1, 2), "growth_rate": 4, "stem_filters": 4}
T3D = {**DENSENET, "transition_filters": 4}
LITE = {"width": 0.1, "depth": 0.2}
TORCHVISION = {**BASIC, "stem_pool_stride": None}

NETWORKS = {
    "resnet": (models.ResNet3D, BASIC),
    "resnet_bottleneck": (models.ResNet3D, BOTTLENECK),
    "zero_padding": (models.ResNet3D, {**BASIC, "shortcut": "zero_padding"}),
    "resnext": (models.ResNet3D, {**BOTTLENECK, "groups": 4}),
    "stc_residual": (models.ResNet3D, {**BOTTLENECK, "groups": 4, "stc": "residual"}),
    "stc_output": (
        models.ResNet3D,
        {
            **BASIC,
            "stc": "output",
            "stc_options": {"temporal_bins": 2, "combine": "maximum", "use_bias": True},
        },
    ),
    "stc_between_stages": (
        models.ResNet3D,
        {
            **BASIC,
            "stc": "between_stages",
            "stc_options": {"temporal_bins": 3, "combine": "sum", "activation": "tanh"},
        },
    ),
    "mc3": (models.ResNet3D, {**TORCHVISION, "stage_convolutions": ("3d", "2d")}),
    "r2plus1d": (
        models.ResNet3D,
        {**TORCHVISION, "stage_convolutions": ("2plus1d",) * 2, "stem_middle_filters": 5},
    ),
    "densenet": (models.DenseNet3D, DENSENET),
    "stc_densenet": (models.DenseNet3D, {**DENSENET, "stc": "output"}),
    "t3d": (models.T3D, T3D),
    "t3d_of_the_authors": (models.T3D, {**T3D, "variant": "authors_code"}),
    "t3d_lite": (models.T3DLite, {**LITE, "pooling": "avg_deviation"}),
    "stc_t3d_lite": (
        models.T3DLite,
        {**LITE, "transition_depths": None, "temporal_depth": 4, "stc": "residual"},
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_keras_folded_and_lowered_models_are_equal(name):
    network, options = NETWORKS[name]
    # An even height tells even padding from Keras's "same".
    model = randomize(network(input_shape=(8, 20, 19, 3), num_classes=5, **options))
    clips = clips_for(model, 2)
    expected = answers(model, clips)
    assert_close(tf.function(fold(model))(clips), expected)
    lowered = tf.function(lower(model))
    for clip, logits in zip(clips, expected, strict=True):
        assert_close(lowered(clip.astype("float32")), logits[None])
