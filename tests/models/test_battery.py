"""Every family of networks goes through the battery of `tests/battery.py`."""

import pytest

from keras_t3d import models
from tests import keras_exports
from tests.battery import check_keras_export, check_model, noise_clips

DENSE = {"block_layers": (1, 2), "growth_rate": 4, "bottleneck_factor": 2, "stem_filters": 6}
DENSE_SHAPES = {
    "stem": (4, 8, 8, 6),
    "block1": (4, 8, 8, 10),
    "transition1": (2, 4, 4, 5),
    "block2": (2, 4, 4, 13),
}
T3D_SHAPES = {**DENSE_SHAPES, "transition1": (2, 4, 4, 9), "block2": (2, 4, 4, 17)}
AUTHORS_SHAPES = {
    "stem": (2, 8, 8, 6),
    "block1": (2, 8, 8, 10),
    "transition1": (1, 4, 4, 9),
    "block2": (1, 4, 4, 17),
}

FOUR_STAGES = {
    "block": "basic",
    "stage_blocks": (1, 2, 1, 1),
    "stage_filters": (4, 6, 8, 8),
    "stem_filters": 4,
}
FOUR_STAGES_SHAPES = {
    "stem": (4, 8, 8, 4),
    "stage1": (4, 8, 8, 4),
    "stage2": (2, 4, 4, 6),
    "stage3": (1, 2, 2, 8),
    "stage4": (1, 1, 1, 8),
}
TWO_STAGES = {"stage_blocks": (1, 1), "stage_filters": (4, 6), "stem_filters": 4}
BASIC = {**TWO_STAGES, "block": "basic", "stem_kernel": (3, 3, 3)}
BASIC_SHAPES = {"stem": (4, 8, 8, 4), "stage1": (4, 8, 8, 4), "stage2": (2, 4, 4, 6)}
BOTTLENECK = {**BASIC, "block": "bottleneck", "expansion": 2}
BOTTLENECK_SHAPES = {"stem": (4, 8, 8, 4), "stage1": (4, 8, 8, 8), "stage2": (2, 4, 4, 12)}
# torchvision's have no max pool.
TORCHVISION_SHAPES = {"stem": (8, 16, 16, 4), "stage1": (8, 16, 16, 4), "stage2": (4, 8, 8, 6)}
MIXED_SHAPES = {**TORCHVISION_SHAPES, "stage2": (8, 8, 8, 6)}
STC = {"reduction": 2, "activation": "tanh"}  # no dead ReLU
LITE = {"width": 0.1, "depth": 0.2}
LITE_SHAPES = {
    "stem": (4, 16, 16, 32),
    "stage1": (4, 16, 16, 8),
    "stage2": (4, 8, 8, 8),
    "transition3": (4, 8, 8, 8),
    "stage3": (4, 4, 4, 8),
    "transition4": (4, 4, 4, 8),
    "stage4": (4, 2, 2, 8),
    "stage5": (4, 2, 2, 16),
    "transition6": (4, 2, 2, 16),
    "stage6": (4, 1, 1, 24),
    "stage7": (4, 1, 1, 32),
    "head": (4, 1, 1, 1280),
}
LITE_STC_SHAPES = {k: shape for k, shape in LITE_SHAPES.items() if "transition" not in k}

CASES = {
    "densenet": (models.DenseNet3D, DENSE, DENSE_SHAPES),
    "densenet_stc": (
        models.DenseNet3D,
        {**DENSE, "stc": "output", "stc_options": STC},
        DENSE_SHAPES,
    ),
    "t3d": (models.T3D, {**DENSE, "transition_filters": 3}, T3D_SHAPES),
    "t3d_causal": (
        models.T3D,
        {**DENSE, "transition_filters": 3, "causal": True},
        T3D_SHAPES,
    ),
    "t3d_of_the_authors": (
        models.T3D,
        {**DENSE, "transition_filters": 3, "variant": "authors_code"},
        AUTHORS_SHAPES,
    ),
    "resnet": (models.ResNet3D, FOUR_STAGES, FOUR_STAGES_SHAPES),
    "resnet_zero_padding": (models.ResNet3D, {**BASIC, "shortcut": "zero_padding"}, BASIC_SHAPES),
    "resnet_bottleneck": (models.ResNet3D, BOTTLENECK, BOTTLENECK_SHAPES),
    "resnext": (models.ResNet3D, {**BOTTLENECK, "groups": 2}, BOTTLENECK_SHAPES),
    "stc_residual": (
        models.ResNet3D,
        {**BOTTLENECK, "groups": 2, "stc": "residual", "stc_options": STC},
        BOTTLENECK_SHAPES,
    ),
    "stc_output": (
        models.ResNet3D,
        {**BASIC, "stc": "output", "stc_options": {**STC, "temporal_bins": 3, "combine": "sum"}},
        BASIC_SHAPES,
    ),
    "stc_between_stages": (
        models.ResNet3D,
        {**BASIC, "stc": "between_stages", "stc_options": {**STC, "use_bias": True}},
        BASIC_SHAPES,
    ),
    "r3d_18": (
        models.R3D18,
        {**TWO_STAGES, "stage_convolutions": ("3d", "3d")},
        TORCHVISION_SHAPES,
    ),
    "mc3_18": (
        models.MC3D18,
        {**TWO_STAGES, "stage_convolutions": ("3d", "2d")},
        MIXED_SHAPES,
    ),
    "r2plus1d_18": (
        models.R2Plus1D18,
        {**TWO_STAGES, "stage_convolutions": ("2plus1d",) * 2, "stem_middle_filters": 5},
        TORCHVISION_SHAPES,
    ),
    "resnet2plus1d_18": (
        models.ResNet2Plus1D18,
        {**TWO_STAGES, "stage_convolutions": ("2plus1d_each",) * 2, "stem_middle_filters": 5},
        BASIC_SHAPES,
    ),
    "resnet2plus1d_50": (
        models.ResNet2Plus1D50,
        {
            **TWO_STAGES,
            "stage_convolutions": ("2plus1d_each",) * 2,
            "stem_middle_filters": 5,
            "expansion": 2,
        },
        BOTTLENECK_SHAPES,
    ),
    "t3d_lite": (models.T3DLite, LITE, LITE_SHAPES),
    "t3d_lite_causal": (models.T3DLite, {**LITE, "causal": True}, LITE_SHAPES),
    "t3d_lite_stc": (
        models.T3DLite,
        {
            **LITE,
            "transition_depths": None,
            "temporal_depth": 3,
            "stc": "residual",
            "stc_options": STC,
        },
        LITE_STC_SHAPES,
    ),
}


# Their layers are those of the other cases in another order.
FURTHER = (
    "densenet",
    "t3d_of_the_authors",
    "resnet_zero_padding",
    "resnet_bottleneck",
    "resnext",
    "stc_output",
    "r3d_18",
    "mc3_18",
    "resnet2plus1d_50",
    "t3d_lite_causal",
    "t3d_lite_stc",
)


@pytest.mark.fit
@pytest.mark.parametrize(
    "case",
    [pytest.param(case, marks=pytest.mark.slow if case in FURTHER else ()) for case in CASES],
)
def test_network(case, tmp_path):
    factory, options, stage_shapes = CASES[case]
    check_model(factory, options, stage_shapes, tmp_path)


QUICK_EXPORTS = (("t3d", "tf_saved_model"), ("stc_residual", "openvino"), ("r2plus1d_18", "litert"))
# In Keras's LiteRT files, TensorFlow's operations pool clips, and its interpreter has none of them.
POOLING = "Flex(Max|Avg)Pool3D"
UNPOOLED = ("r3d_18", "mc3_18", "r2plus1d_18", "t3d_lite", "t3d_lite_causal", "t3d_lite_stc")


@pytest.mark.export
@pytest.mark.parametrize(
    ("case", "name"),
    [
        pytest.param(case, name, marks=() if (case, name) in QUICK_EXPORTS else pytest.mark.slow)
        for case in CASES
        for name in keras_exports.FORMATS["tensorflow"]
    ],
)
def test_export_by_keras(case, name, tmp_path):
    if not keras_exports.is_available(name):
        pytest.skip(f"needs {keras_exports.FORMATS['tensorflow'][name]}")
    factory, options, _ = CASES[case]
    model = factory(input_shape=(8, 32, 32, 3), num_classes=3, name=case, **options)
    clips = noise_clips(2)
    if name == "litert" and case not in UNPOOLED:
        with pytest.raises(RuntimeError, match=POOLING):
            check_keras_export(model, name, clips, tmp_path)
    else:
        check_keras_export(model, name, clips, tmp_path)
