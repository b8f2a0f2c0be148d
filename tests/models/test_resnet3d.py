"""Parameter counts and stage shapes of the papers' residual networks."""

import numpy as np
import pytest

from keras_t3d import ClipSpec, models
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers import BasicBlock3D, BottleneckBlock3D
from tests.battery import array, noise_clips, randomize

FULL = {"input_shape": (16, 112, 112, 3), "num_classes": 400}


def trainable(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


@pytest.mark.usefixtures("zeros_for_initial_values")
@pytest.mark.parametrize(
    ("name", "parameters", "width"),
    [
        ("resnet3d_18", 33_409_104, 512),
        pytest.param("resnet3d_34", 63_718_736, 512, marks=pytest.mark.slow),
        ("resnet3d_50", 47_018_576, 2048),
        pytest.param("resnet3d_101", 86_064_720, 2048, marks=pytest.mark.slow),
        ("resnet3d_152", 118_223_440, 2048),
        pytest.param("resnext3d_50", 26_685_264, 2048, marks=pytest.mark.slow),
        pytest.param("resnext3d_101", 48_340_816, 2048, marks=pytest.mark.slow),
        ("stc_resnext3d_101", 65_896_272, 2048),
        ("r3d_18", 33_371_472, 512),
        ("mc3_18", 11_695_440, 512),
        ("r2plus1d_18", 31_505_325, 512),
        ("resnet2plus1d_18", 33_421_164, 512),
        pytest.param("resnet2plus1d_34", 63_747_500, 512, marks=pytest.mark.slow),
        pytest.param("resnet2plus1d_50", 47_035_382, 2048, marks=pytest.mark.slow),
    ],
)
def test_trainable_parameters_and_head_width(name, parameters, width):
    model = models.create(name, **FULL)
    assert trainable(model) == parameters
    assert model.get_layer("embedding").output.shape == (None, width)
    assert model.name == name


SMALL = {"stage_filters": (4, 6, 8, 10), "stem_filters": 4}
SMALLEST = {"stage_filters": (2, 2, 2, 2), "stem_filters": 2}
STAGES = ("stem", "stage1", "stage2", "stage3", "stage4")


@pytest.mark.parametrize(
    ("name", "options", "times", "side", "channels"),
    [
        ("resnet3d_18", SMALL, (8, 8, 4, 2, 1), 28, (4, 4, 6, 8, 10)),
        ("resnet3d_50", SMALL, (8, 8, 4, 2, 1), 28, (4, 16, 24, 32, 40)),
        ("resnext3d_50", {**SMALL, "groups": 2}, (8, 8, 4, 2, 1), 28, (4, 8, 12, 16, 20)),
        ("r3d_18", SMALL, (16, 16, 8, 4, 2), 56, (4, 4, 6, 8, 10)),
        ("mc3_18", SMALL, (16, 16, 16, 16, 16), 56, (4, 4, 6, 8, 10)),
        ("r2plus1d_18", SMALL, (16, 16, 8, 4, 2), 56, (4, 4, 6, 8, 10)),
    ],
)
def test_every_stage_has_the_printed_size(name, options, times, side, channels):
    model = models.create(name, **FULL, **options)
    sides = (side, side, side // 2, side // 4, -(-side // 8))
    shapes = [output.shape[1:] for output in model.feature_model(*STAGES).outputs]
    assert shapes == [
        (time, side, side, width) for time, side, width in zip(times, sides, channels, strict=True)
    ]


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("resnet3d_18", (2, 2, 2, 2)),
        ("resnet3d_34", (3, 4, 6, 3)),
        ("resnet3d_101", (3, 4, 23, 3)),
        ("resnext3d_50", (3, 4, 6, 3)),
        ("r2plus1d_18", (2, 2, 2, 2)),
        ("resnet2plus1d_34", (3, 4, 6, 3)),
    ],
)
def test_blocks_of_the_named_networks(name, blocks):
    groups = {"groups": 2} if "resnext" in name else {}
    model = models.create(name, input_shape=(4, 16, 16, 3), num_classes=2, **SMALLEST, **groups)
    kind = BottleneckBlock3D if name in ("resnet3d_101", "resnext3d_50") else BasicBlock3D
    found = [layer for layer in model.layers if isinstance(layer, kind)]
    assert [layer.name for layer in found] == [
        f"stage{stage}_block{number}"
        for stage, count in enumerate(blocks, start=1)
        for number in range(1, count + 1)
    ]
    strided = [layer.name for layer in found if max(layer.strides) > 1]
    assert strided == ["stage2_block1", "stage3_block1", "stage4_block1"]


def tiny(**options):
    return models.ResNet3D(
        **{
            "input_shape": (8, 32, 32, 3),
            "num_classes": 3,
            "stage_blocks": (2, 1),
            "block": "basic",
            "stage_filters": (4, 6),
            "stem_filters": 4,
            "stem_kernel": (3, 3, 3),
            **options,
        }
    )


# STC.


def stc_of(block):
    """Where the block has one, and what it reads: frames times channels."""
    if not block.stc:
        return None
    return block.stc, block.correlation.spatial_squeeze_kernel.shape[0]


@pytest.mark.parametrize("placement", ["residual", "output"])
def test_stc_in_every_block(placement):
    model = tiny(stc=placement, stc_options={"reduction": 2})
    blocks = ("stage1_block1", "stage1_block2", "stage2_block1")
    found = [stc_of(model.get_layer(name)) for name in blocks]
    assert found == [(placement, 4 * 4), (placement, 4 * 4), (placement, 2 * 6)]
    assert model.stages == {"stem": "stem", "stage1": "stage1_block2", "stage2": "stage2_block1"}


def test_stc_between_stages():
    model = tiny(
        stc="between_stages",
        stage_blocks=(1, 1, 1),
        stage_filters=(4, 4, 4),
        stc_options={"reduction": 2, "temporal_bins": 3},
    )
    names = [layer.name for layer in model.layers if "stage" in layer.name]
    assert names == ["stage1_block1", "stage1_stc", "stage2_block1", "stage2_stc", "stage3_block1"]
    assert [stc_of(model.get_layer(name)) for name in names if "block" in name] == [None] * 3
    assert model.get_layer("stage2_stc").spatial_squeeze_kernel.shape == (3 * 4, 6)
    assert model.stages["stage1"] == "stage1_stc"
    assert model.stages["stage3"] == "stage3_block1"


def test_stc_changes_the_logits():
    plain, with_stc = randomize(tiny()), randomize(tiny(stc="residual"))
    clips = noise_clips(2)
    assert not np.allclose(array(plain(clips)), array(with_stc(clips)))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("stc_resnet3d_18", {}),
        ("stc_resnet3d_50", {}),
        ("stc_resnet3d_101", {}),
        ("stc_resnext3d_50", {"groups": 2}),
    ],
)
def test_named_stc_networks(name, options):
    model = models.create(name, input_shape=(4, 16, 16, 3), num_classes=2, **SMALLEST, **options)
    blocks = [layer for layer in model.layers if "block" in layer.name]
    assert {block.stc for block in blocks} == {"residual"}
    assert model.name == name


def test_options_override_those_of_a_configuration():
    model = models.STCResNeXt3D50(
        input_shape=(4, 16, 16, 3),
        num_classes=2,
        stage_blocks=(1,),
        stage_filters=(2,),
        groups=1,
        stc=None,
        name="mine",
    )
    block = model.get_layer("stage1_block1")
    assert (block.stc, block.groups, block.expansion, model.name) == (None, 1, 2, "mine")


# Clips that are short or small, and what is refused.


@pytest.mark.parametrize("shape", [(1, 1, 1, 3), (1, 5, 7, 3), (3, 32, 32, 3)])
@pytest.mark.parametrize("stc", [None, "residual"])
def test_any_clip_has_an_output(shape, stc):
    model = tiny(input_shape=shape, stc=stc, stage_blocks=(1, 1, 1), stage_filters=(4, 4, 4))
    logits = array(model(noise_clips(2, shape)))
    assert logits.shape == (2, 3)
    assert np.isfinite(logits).all()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"input_shape": (None, 32, 32, 3)}, "input_shape"),
        ({"input_shape": (8, 32, 32)}, "input_shape"),
        ({"input_shape": (8, 0, 32, 3)}, "input_shape"),
        ({"num_classes": None}, "num_classes"),
        ({"num_classes": 2.5}, "num_classes"),
        ({"include_top": False}, "num_classes"),
        ({"pooling": None}, "pooling"),
        ({"pooling": "mean"}, "pooling"),
        ({"dropout": 1.0}, "dropout"),
        ({"block": "dense"}, "block"),
        ({"shortcut": "C"}, "shortcut"),
        ({"stc": "everywhere"}, "stc"),
        ({"stc": "residual", "stc_options": {"reduction": 0}}, "reduction"),
        ({"stage_blocks": ()}, "stage_blocks"),
        ({"stage_blocks": (1, 0)}, "stage_blocks"),
        ({"stage_filters": (4, 6, 8)}, "stage_filters"),
        ({"stage_convolutions": ("3d",)}, "stage_convolutions"),
        ({"stage_convolutions": ("3d", "1d")}, "convolution"),
        ({"block": "bottleneck", "stage_convolutions": ("3d", "2d")}, "stage_convolutions"),
        ({"groups": 2}, "groups"),
        ({"block": "bottleneck", "groups": 4}, "groups"),
        ({"block": "bottleneck", "expansion": 0}, "expansion"),
        ({"stem_kernel": (3, 4, 3)}, "stem_kernel"),
        ({"stem_stride": (1, 2)}, "stem_stride"),
        ({"stem_pool_stride": 0}, "stem_pool_stride"),
        ({"class_names": ["a"]}, "class_names"),
        ({"clip_spec": ClipSpec(num_frames=8)}, "clip_spec"),
    ],
)
def test_wrong_arguments_are_rejected(wrong, said):
    with pytest.raises(InvalidArgumentError, match=f"`{said}`.*Received"):
        tiny(**wrong)
