import dataclasses
import math

import numpy as np
import pytest

from keras_t3d.data import Augmentation

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
    ("field", "value", "rule"),
    [
        ("brightness", -0.1, "a number of at least 0, for example 0.4"),
        ("contrast", math.nan, "a number of at least 0"),
        ("saturation", math.inf, "a number of at least 0"),
        ("hue", 0.6, r"in 0\.\.0\.5, for example 0\.1"),
        ("hue", -0.1, r"in 0\.\.0\.5"),
        ("rand_augment", -1, "a whole number of at least 0, for example 2"),
        ("rand_augment", 2.0, "a whole number of at least 0"),
        ("rand_augment", True, "a whole number of at least 0"),
        ("rand_augment_magnitude", 9, r"in 0\.\.1, for example 0\.3"),
        ("erasing", 1.01, r"in 0\.\.1"),
        ("erasing", "0.5", r"in 0\.\.1"),
        ("mixup", -1, "a number of at least 0"),
        ("mixup", None, "a number of at least 0"),
        ("cutmix", math.inf, "a number of at least 0"),
        ("cutmix", True, "a number of at least 0"),
        ("repeats", 0, "a whole number of at least 1, for example 2"),
        ("repeats", 1.5, "a whole number of at least 1"),
        ("no_flip_classes", "left", "names of classes"),
        ("no_flip_classes", (3,), "names of classes"),
        ("no_flip_classes", ("left", ""), "names of classes"),
    ],
)
def test_wrong_values_are_refused_by_name(field, value, rule):
    with pytest.raises(ValueError, match=rf"`{field}` must be {rule}.*Received: ") as error:
        Augmentation(**{field: value})
    assert str(error.value).endswith(f"Received: {value!r}")
