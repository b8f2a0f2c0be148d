import dataclasses
import math

import numpy as np
import pytest

from keras_t3d.data import Augmentation
from keras_t3d.errors import InvalidArgumentError

OFF = {
    "no_flip_classes": (),
    "brightness": 0.0,
    "contrast": 0.0,
    "saturation": 0.0,
    "hue": 0.0,
    "rand_augment": 0,
    "erasing": 0.0,
    "mixup": 0.0,
    "cutmix": 0.0,
    "repeats": 1,
}


def test_all_but_windows_and_flips_is_off_by_default():
    assert dataclasses.asdict(Augmentation()).items() >= OFF.items()


def test_limits_are_legal_values():
    augmentation = Augmentation(
        brightness=2,
        hue=0.5,
        rand_augment=np.int64(3),
        rand_augment_magnitude=1,
        erasing=np.float32(1),
        mixup=1e-3,
        cutmix=100.0,
    )
    assert (augmentation.hue, augmentation.rand_augment, augmentation.erasing) == (0.5, 3, 1)


def test_names_of_classes_become_a_tuple():
    assert Augmentation(no_flip_classes=["left", "right"]).no_flip_classes == ("left", "right")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("brightness", -0.1),
        ("contrast", math.nan),
        ("saturation", math.inf),
        ("hue", 0.6),
        ("hue", -0.1),
        ("rand_augment", -1),
        ("rand_augment", 2.0),
        ("rand_augment", True),
        ("rand_augment_magnitude", 9),
        ("erasing", 1.01),
        ("erasing", "0.5"),
        ("mixup", -1),
        ("mixup", None),
        ("cutmix", math.inf),
        ("cutmix", True),
        ("repeats", 0),
        ("repeats", 1.5),
        ("no_flip_classes", "left"),
        ("no_flip_classes", (3,)),
        ("no_flip_classes", ("left", "")),
    ],
)
def test_wrong_values_are_refused_by_name(field, value):
    with pytest.raises(InvalidArgumentError, match=f"`{field}`") as error:
        Augmentation(**{field: value})
    assert str(error.value).endswith(f"Received: {value!r}")
