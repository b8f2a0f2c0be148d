"""Random changes of a training clip's colours and shapes, the same in every frame.

Colour jitter, RandAugment and random erasing, each drawn once per clip as a pure function of
the seed: neither TensorFlow's global seed nor the Keras backend matters. Clips are uint8
`(frames, height, width, 3)`, seeds int64 `(2,)`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from keras_t3d.data.augmentation.image_operations import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    adjust_sharpness,
    autocontrast,
    equalize,
    paste,
    posterize,
    rotate,
    shear_x,
    shear_y,
    solarize,
    translate_x,
    translate_y,
)
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.errors import InvalidArgumentError

# The published list. Strength is the magnitude with a random sign; the strongest settings are the
# paper's for ImageNet.
RAND_AUGMENT_OPERATIONS: dict[str, Callable[[tf.Tensor, tf.Tensor], tf.Tensor]] = {
    "identity": lambda clip, strength: clip,
    "autocontrast": lambda clip, strength: autocontrast(clip),
    "equalize": lambda clip, strength: equalize(clip),
    "rotate": lambda clip, strength: rotate(clip, 30 * strength),
    "solarize": lambda clip, strength: solarize(clip, 256 * (1 - tf.abs(strength))),
    "color": lambda clip, strength: adjust_saturation(clip, 1 + 0.9 * strength),
    "posterize": lambda clip, strength: posterize(
        clip, 8 - tf.cast(tf.round(4 * tf.abs(strength)), tf.int32)
    ),
    "contrast": lambda clip, strength: adjust_contrast(clip, 1 + 0.9 * strength),
    "brightness": lambda clip, strength: adjust_brightness(clip, 1 + 0.9 * strength),
    "sharpness": lambda clip, strength: adjust_sharpness(clip, 1 + 0.9 * strength),
    "shear_x": lambda clip, strength: shear_x(clip, 0.3 * strength),
    "shear_y": lambda clip, strength: shear_y(clip, 0.3 * strength),
    "translate_x": lambda clip, strength: translate_x(clip, 150 / 331 * strength),
    "translate_y": lambda clip, strength: translate_y(clip, 150 / 331 * strength),
}

_ERASED_AREA = (0.02, 1 / 3)  # shares of the frame
_ERASED_STRETCH = 10 / 3  # largest ratio of a box's sides


def distort(clip: tf.Tensor, augmentation: Augmentation, seed: tf.Tensor) -> tf.Tensor:
    """Changes the colours and shapes of a clip: colour jitter, then RandAugment, then erasing.

    Changes that are off add no operation to the graph; if all are off, the clip is returned.

    Args:
        clip: uint8 `(frames, height, width, 3)`.
        augmentation: changes to apply.
        seed: int64 (2,); the same seed gives the same bytes.

    Returns:
        uint8 tensor of the clip's shape.

    Raises:
        InvalidArgumentError: if the clip is not uint8 or not of that shape.

    Example:

    ```python
    augmentation = Augmentation(brightness=0.4, hue=0.1, erasing=0.25)
    clip = distort(clip, augmentation, seed=tf.constant([0, 1], tf.int64))
    ```
    """
    if clip.dtype != tf.uint8 or clip.shape.rank != 4 or clip.shape[-1] != 3:
        raise InvalidArgumentError(
            "`clip` must be a uint8 tensor of shape (frames, height, width, 3), for example "
            f"(16, 112, 112, 3). Received: {clip.dtype.name} of shape {clip.shape}",
            argument="clip",
        )
    fold_in = tf.random.experimental.stateless_fold_in
    if any(
        (augmentation.brightness, augmentation.contrast, augmentation.saturation, augmentation.hue)
    ):
        clip = jitter_colors(clip, augmentation, fold_in(seed, 0))
    if augmentation.rand_augment:
        clip = rand_augment(
            clip, augmentation.rand_augment, augmentation.rand_augment_magnitude, fold_in(seed, 1)
        )
    if augmentation.erasing:
        clip = erase(clip, augmentation.erasing, fold_in(seed, 2))
    return clip


def jitter_colors(clip: tf.Tensor, augmentation: Augmentation, seed: tf.Tensor) -> tf.Tensor:
    """Changes brightness, contrast, saturation and hue, in a random order.

    Args:
        augmentation: strengths of the four, at least one of them above 0.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    uniform = tf.random.stateless_uniform((4,), seeds[0])

    steps: list[Callable[[tf.Tensor], tf.Tensor]] = []
    for drawn, adjust, strength in (
        (uniform[0], adjust_brightness, augmentation.brightness),
        (uniform[1], adjust_contrast, augmentation.contrast),
        (uniform[2], adjust_saturation, augmentation.saturation),
    ):
        if strength:
            lowest = max(0.0, 1 - strength)
            factor = lowest + drawn * (1 + strength - lowest)
            steps.append(functools.partial(adjust, factor=factor))
    if augmentation.hue:
        turn = augmentation.hue * (2 * uniform[3] - 1)
        steps.append(functools.partial(tf.image.adjust_hue, delta=turn))
    order = tf.random.experimental.stateless_shuffle(tf.range(len(steps)), seeds[1])
    for position in range(len(steps)):
        clip = tf.switch_case(order[position], [functools.partial(step, clip) for step in steps])
    return clip


def rand_augment(
    clip: tf.Tensor, num_operations: int, magnitude: float, seed: tf.Tensor
) -> tf.Tensor:
    """Applies operations drawn from `RAND_AUGMENT_OPERATIONS`, each equally likely.

    Args:
        num_operations: number of operations to apply; an operation may occur twice.
        magnitude: their strength, in 0..1.

    Reference:
        [RandAugment](https://arxiv.org/abs/1909.13719), Cubuk et al., 2019.
    """
    operations = list(RAND_AUGMENT_OPERATIONS.values())
    seeds = tf.random.experimental.stateless_split(seed, 2)
    chosen = tf.random.stateless_uniform(
        (num_operations,), seeds[0], maxval=len(operations), dtype=tf.int32
    )
    positive = tf.random.stateless_uniform((num_operations,), seeds[1]) < 0.5
    for position in range(num_operations):
        strength = tf.where(positive[position], magnitude, -magnitude)
        clip = tf.switch_case(
            chosen[position],
            [functools.partial(operation, clip, strength) for operation in operations],
        )
    return clip


def erase(clip: tf.Tensor, probability: float, seed: tf.Tensor) -> tf.Tensor:
    """Replaces one box by noise, the same box and noise in every frame.

    Args:
        probability: share of clips in which a box is erased, in 0..1.

    Reference:
        [Random Erasing](https://arxiv.org/abs/1708.04896), Zhong et al., 2017.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    uniform = tf.random.stateless_uniform((5,), seeds[0])

    def erased() -> tf.Tensor:
        frame = tf.cast(tf.shape(clip)[1:3], tf.float32)
        least, most = _ERASED_AREA
        area = (least + uniform[1] * (most - least)) * tf.reduce_prod(frame)
        stretch = tf.pow(_ERASED_STRETCH, uniform[2] - 0.5)
        size = tf.sqrt(area) * tf.stack([stretch, 1 / stretch])
        size = tf.clip_by_value(tf.round(size), 1, frame)
        places = frame - size + 1
        offset = tf.minimum(tf.floor(uniform[3:] * places), places - 1)
        noise = tf.random.stateless_uniform(
            tf.shape(clip)[1:], seeds[1], maxval=256, dtype=tf.int32
        )
        patches = tf.broadcast_to(tf.cast(noise, tf.uint8), tf.shape(clip))
        return paste(clip, patches, tf.cast(tf.concat([offset, size], 0), tf.int32))

    return tf.cond(uniform[0] < probability, erased, lambda: clip)
