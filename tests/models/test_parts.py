"""Arguments that every network has are checked before anything is built."""

import pytest

from keras_t3d import models

SMALL = {
    "resnet3d_18": {"input_shape": (8, 32, 32, 3), "num_classes": 2},
    "t3d_tiny": {"input_shape": (16, 64, 64, 3), "num_classes": 2},
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"stem_kernel": 4}, "odd"),
        ({"stem_stride": (0, 2, 2)}, "stem_stride"),
        ({"stem_stride": (2, 2)}, "three"),
        ({"stc_options": {"reduction": 4}}, "give `stc` too"),
        ({"stc": "output", "stc_options": {"bins": 4}}, "SpatioTemporalChannelCorrelation"),
        ({"stc": "inside"}, "`stc` must be one of"),
        ({"num_classes": None}, "include_top=False"),
        ({"include_top": False}, "leaves out"),
        ({"include_top": False, "num_classes": None, "class_names": ["a"]}, "leaves out"),
        ({"pooling": None}, "feature map"),
        ({"dropout": 1.5}, "dropout"),
        ({"input_shape": (None, 64, 64, 3)}, "whole number"),
    ],
)
def test_wrong_arguments_say_what_is_right(name, wrong, said):
    with pytest.raises(ValueError, match=said):
        models.create(name, **{**SMALL[name], **wrong})


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("t3d_tiny", {"block_layers": 4}),
        ("t3d_tiny", {"block_layers": (2, 0)}),
        ("resnet3d_18", {"stage_blocks": (1.5, 1, 1, 1)}),
        ("resnet3d_18", {"stage_blocks": ()}),
    ],
)
def test_depths_are_whole_numbers(name, wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        models.create(name, **{**SMALL[name], **wrong})


def test_one_number_stands_for_three():
    one = models.create("resnet3d_18", **SMALL["resnet3d_18"], stem_kernel=3, stem_stride=2)
    three = models.create(
        "resnet3d_18", **SMALL["resnet3d_18"], stem_kernel=(3, 3, 3), stem_stride=(2, 2, 2)
    )
    assert one.get_config() == three.get_config()
