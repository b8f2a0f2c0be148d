"""Random changes of training clips: one description of all of them."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any, Literal

from keras_t3d.errors import InvalidArgumentError


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How training clips are cropped, changed and mixed.

    Everything drawn for a clip is the same for all of its frames. Except for windows and flips,
    everything is off by default.

    Args:
        crop: random_resized (a window of random area and shape, anywhere), corners (a window of
            a random scale in a corner or the centre, as in both papers) or random (a window of
            the test view's scale, anywhere).
        min_area: smallest area of a random_resized window, as a share of the frame, in (0, 1].
        max_stretch: a random_resized window is at most this much wider or taller than the crop's
            shape; at least 1.
        scales: scales of corners, in (0, 1], relative to the largest window in the frame.
        flip: whether half of the clips are mirrored. Turn it off if left and right are different
            classes.
        no_flip_classes: names of classes whose clips are never mirrored.
        brightness: values are multiplied by a factor between max(0, 1 - brightness) and 1 +
            brightness. Brightness, contrast, saturation and hue come in a random order.
        contrast: distances from the clip's mean grey are multiplied by such a factor.
        saturation: distances from each pixel's own grey are multiplied by such a factor.
        hue: hues turn by up to this share of the colour circle in either direction, in 0..0.5.
        rand_augment: number of operations that RandAugment draws for each clip, for example 2.
        rand_augment_magnitude: their strength, in 0..1.
        erasing: share of clips in which one box is replaced by noise, in 0..1.
        mixup: clips and labels are blended in pairs, by a share from Beta(mixup, mixup).
        cutmix: clips swap a box in pairs, of an area from Beta(cutmix, cutmix). With mixup, too,
            each batch gets one of the two with equal chance.
        repeats: clips that each video gives to a batch, each drawn anew (repeated augmentation).

    Raises:
        InvalidArgumentError: if a value is out of its range.

    Example:

    ```python
    Augmentation(crop="corners", no_flip_classes=("swipe-left", "swipe-right"))
    Augmentation(rand_augment=2, erasing=0.25, mixup=0.8, cutmix=1.0, repeats=2)
    ```
    """

    crop: Literal["random_resized", "corners", "random"] = "random_resized"
    min_area: float = 0.4
    max_stretch: float = 4 / 3
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    flip: bool = True
    no_flip_classes: tuple[str, ...] = ()
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    rand_augment: int = 0
    rand_augment_magnitude: float = 0.3
    erasing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    repeats: int = 1

    def __post_init__(self) -> None:
        crops = ("random_resized", "corners", "random")
        self._check("crop", self.crop in crops, f"one of {crops}")
        self._check("min_area", 0 < self.min_area <= 1, "in (0, 1], for example 0.4")
        self._check("max_stretch", self.max_stretch >= 1, "at least 1, for example 1.33")
        scales, names = self.scales, self.no_flip_classes
        valid = len(scales) > 0 and all(0 < scale <= 1 for scale in scales)
        self._check("scales", valid, "in (0, 1], for example (1.0, 0.75)")
        object.__setattr__(self, "scales", tuple(scales))
        valid = not isinstance(names, str) and all(isinstance(name, str) and name for name in names)
        self._check(
            "no_flip_classes", valid, 'names of classes, for example ("swipe-left", "swipe-right")'
        )
        object.__setattr__(self, "no_flip_classes", tuple(names))
        for name in ("brightness", "contrast", "saturation"):
            self._check_number(name, highest=math.inf, example=0.4)
        self._check_number("hue", highest=0.5, example=0.1)
        self._check_integer("rand_augment", lowest=0, example=2)
        self._check_number("rand_augment_magnitude", highest=1, example=0.3)
        self._check_number("erasing", highest=1, example=0.25)
        self._check_number("mixup", highest=math.inf, example=0.8)
        self._check_number("cutmix", highest=math.inf, example=1.0)
        self._check_integer("repeats", lowest=1, example=2)

    @property
    def mixes(self) -> bool:
        """Whether clips are mixed in pairs, so that labels are shares of classes."""
        return self.mixup > 0 or self.cutmix > 0

    def _check_number(self, name: str, highest: float, example: float) -> None:
        value: Any = getattr(self, name)
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        valid = is_number and 0 <= value <= highest and math.isfinite(value)
        rule = "a number of at least 0" if highest == math.inf else f"in 0..{highest}"
        self._check(name, valid, f"{rule}, for example {example}; 0 turns it off")

    def _check_integer(self, name: str, lowest: int, example: int) -> None:
        value: Any = getattr(self, name)
        is_integer = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        rule = f"an integer of at least {lowest}, for example {example}"
        self._check(name, is_integer and value >= lowest, rule)

    def _check(self, name: str, valid: bool, rule: str) -> None:
        if not valid:
            raise InvalidArgumentError(
                f"Augmentation: `{name}` must be {rule}. Received: {getattr(self, name)!r}",
                argument=name,
            )
