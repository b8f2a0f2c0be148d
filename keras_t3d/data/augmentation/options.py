"""What is drawn at random for training clips: one description of all of it."""

from __future__ import annotations

import dataclasses
import math
import numbers

CROPS = ("random_resized", "corners", "random")


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How training clips are cut out of their frames, changed and mixed.

    Whatever is drawn for a clip is the same for all of its frames. Beside windows
    and flips everything is off by default.

    Args:
        crop: `"random_resized"`: a window of random area and shape, anywhere.
            `"corners"`: a window of a random scale in one of the four corners or
            the centre, as both papers train. `"random"`: a window of the test
            view's scale, anywhere. Defaults to `"random_resized"`.
        min_area: float in (0, 1]. Smallest area of a `"random_resized"` window, as
            a share of the frame. Defaults to `0.4`.
        max_stretch: float of at least 1. A `"random_resized"` window is at most this
            much wider or taller than the crop's shape. Defaults to `4 / 3`.
        scales: floats in (0, 1]. Scales of `"corners"`, in units of the largest
            window that the frame's short side holds. Defaults to
            `(1.0, 0.875, 0.75, 0.66)`.
        flip: bool. Whether half of the clips are mirrored. Turn it off where left
            and right are different classes. Defaults to `True`.
        no_flip_classes: strings. Names of classes whose clips are never mirrored,
            where `flip` holds for the others. Defaults to `()`.
        brightness: float of at least 0. All values are multiplied by a factor
            between `max(0, 1 - brightness)` and `1 + brightness`. Brightness,
            contrast, saturation and hue come in a random order. Defaults to `0.0`.
        contrast: float of at least 0. The factor of the distance from the clip's
            mean grey, drawn likewise. Defaults to `0.0`.
        saturation: float of at least 0. The factor of the distance from each pixel's
            own grey, drawn likewise. Defaults to `0.0`.
        hue: float in 0..0.5. Hues turn by up to this share of the colour circle,
            either way. Defaults to `0.0`.
        rand_augment: int of at least 0. Operations that RandAugment draws for each
            clip, for example 2. Defaults to `0`.
        rand_augment_magnitude: float in 0..1. Their strength. Defaults to `0.3`.
        erasing: float in 0..1. Share of clips in which one box is replaced by
            noise. Defaults to `0.0`.
        mixup: float of at least 0. Clips are blended in pairs, and labels with them:
            by a share from Beta(mixup, mixup). Defaults to `0.0`.
        cutmix: float of at least 0. Clips swap a box in pairs: of an area from
            Beta(cutmix, cutmix). With both, each batch gets one of the two by
            equal chance. Defaults to `0.0`.
        repeats: int of at least 1. Clips, each drawn anew, that a video gives to a
            batch (repeated augmentation). Defaults to `1`.

    Raises:
        ValueError: if a value is out of its range.

    Example:

    ```python
    Augmentation(crop="corners", no_flip_classes=("swipe-left", "swipe-right"))
    Augmentation(rand_augment=2, erasing=0.25, mixup=0.8, cutmix=1.0, repeats=2)
    ```
    """

    crop: str = "random_resized"
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
        if self.crop not in CROPS:
            raise ValueError(
                f"Augmentation: `crop` must be one of {CROPS}. Received: {self.crop!r}"
            )
        if not 0 < self.min_area <= 1:
            raise ValueError(
                f"Augmentation: `min_area` must be in (0, 1], for example 0.4. "
                f"Received: {self.min_area!r}"
            )
        if self.max_stretch < 1:
            raise ValueError(
                f"Augmentation: `max_stretch` must be at least 1, for example 1.33. "
                f"Received: {self.max_stretch!r}"
            )
        if not self.scales or not all(0 < scale <= 1 for scale in self.scales):
            raise ValueError(
                f"Augmentation: `scales` must be in (0, 1], for example (1.0, 0.75). "
                f"Received: {self.scales!r}"
            )
        object.__setattr__(self, "scales", tuple(self.scales))
        if isinstance(self.no_flip_classes, str) or not all(
            isinstance(name, str) and name for name in self.no_flip_classes
        ):
            raise ValueError(
                f"Augmentation: `no_flip_classes` must be names of classes, for example "
                f'("swipe-left", "swipe-right"). Received: {self.no_flip_classes!r}'
            )
        object.__setattr__(self, "no_flip_classes", tuple(self.no_flip_classes))
        for name in ("brightness", "contrast", "saturation"):
            self._check_number(name, highest=math.inf, example=0.4)
        self._check_number("hue", highest=0.5, example=0.1)
        self._check_whole("rand_augment", lowest=0, example=2)
        self._check_number("rand_augment_magnitude", highest=1, example=0.3)
        self._check_number("erasing", highest=1, example=0.25)
        self._check_number("mixup", highest=math.inf, example=0.8)
        self._check_number("cutmix", highest=math.inf, example=1.0)
        self._check_whole("repeats", lowest=1, example=2)

    @property
    def mixes(self) -> bool:
        """Whether clips are mixed in pairs, so that labels are shares of classes."""
        return self.mixup > 0 or self.cutmix > 0

    def _check_number(self, name: str, highest: float, example: float) -> None:
        value = getattr(self, name)
        is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not is_number or not 0 <= value <= highest or not math.isfinite(value):
            rule = "a number of at least 0" if highest == math.inf else f"in 0..{highest}"
            raise ValueError(
                f"Augmentation: `{name}` must be {rule}, for example {example}; 0 turns it off. "
                f"Received: {value!r}"
            )

    def _check_whole(self, name: str, lowest: int, example: int) -> None:
        value = getattr(self, name)
        is_whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
        if not is_whole or value < lowest:
            raise ValueError(
                f"Augmentation: `{name}` must be a whole number of at least {lowest}, for "
                f"example {example}. Received: {value!r}"
            )
