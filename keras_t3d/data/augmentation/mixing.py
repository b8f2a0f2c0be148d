"""Mixing of training clips and their labels in pairs: mixup and CutMix."""

from __future__ import annotations

import tensorflow as tf

from keras_t3d.data.augmentation.image_operations import paste
from keras_t3d.data.augmentation.options import Augmentation
from keras_t3d.errors import InvalidArgumentError, check_integer


def mix(
    clips: tf.Tensor,
    labels: tf.Tensor,
    num_classes: int,
    augmentation: Augmentation,
    seed: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Mixes each clip of a batch with another one by mixup or CutMix.

    A clip's partner is half a batch away, so clips of one video, which `repeats` puts next to
    each other, are not mixed with each other. One share is drawn per batch. With both `mixup`
    and `cutmix`, each batch gets one of them.

    Args:
        clips: uint8 `(batch, frames, height, width, channels)`.
        labels: int64 `(batch,)`, class ids.
        num_classes: number of classes.
        augmentation: strengths of `mixup` and `cutmix`.
        seed: int64 (2,); the same seed gives the same bytes.

    Returns:
        uint8 clips of the same shape, and float32 labels of shape
        `(batch, num_classes)` that add up to 1: one-hot where nothing is mixed.

    Raises:
        InvalidArgumentError: if `num_classes`, clips or labels are not as above, or a single
            clip, which has no partner, is to be mixed. A batch of unknown size stays unchanged if
            it has one clip.
        tf.errors.InvalidArgumentError: if a label is not in `0..num_classes - 1`.

    Example:

    ```python
    clips, labels = mix(clips, labels, 101, Augmentation(mixup=0.8, cutmix=1.0), seed)
    ```
    """
    _check(clips, labels, num_classes)
    known = tf.reduce_all(tf.logical_and(labels >= 0, labels < num_classes))
    message = f"Labels must be class ids from 0 to {num_classes - 1}. Received:"
    with tf.control_dependencies([tf.debugging.Assert(known, [message, labels])]):
        soft_labels = tf.one_hot(labels, num_classes, dtype=tf.float32)
    if not augmentation.mixup and not augmentation.cutmix:
        return clips, soft_labels
    if clips.shape[0] == 1:
        raise InvalidArgumentError(
            "Augmentation: `mixup` and `cutmix` need a batch of at least 2 clips, for example 8. "
            "Received: a batch of 1 clip",
            argument="clips",
        )

    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 3))
    if augmentation.mixup and augmentation.cutmix:
        clips, share = tf.cond(
            tf.random.stateless_uniform((), seeds[2]) < 0.5,
            lambda: mixup(clips, beta(augmentation.mixup, seeds[0])),
            lambda: cutmix(clips, beta(augmentation.cutmix, seeds[0]), seeds[1]),
        )
    elif augmentation.mixup:
        clips, share = mixup(clips, beta(augmentation.mixup, seeds[0]))
    else:
        clips, share = cutmix(clips, beta(augmentation.cutmix, seeds[0]), seeds[1])
    return clips, share * soft_labels + (1 - share) * _partners(soft_labels)


def mixup(clips: tf.Tensor, share: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Blends each clip with its partner.

    Args:
        clips: uint8 `(batch, frames, height, width, channels)`.
        share: float32 scalar in 0..1, weight of the clip itself.

    Returns:
        The mixed clips, rounded to uint8, and the share.

    Reference:
        [mixup](https://arxiv.org/abs/1710.09412), Zhang et al., 2017.
    """
    values = tf.cast(clips, tf.float32)
    mixed = share * values + (1 - share) * _partners(values)
    return tf.cast(mixed + 0.5, tf.uint8), share


def cutmix(clips: tf.Tensor, share: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Replaces one box of each clip, the same in all frames, by its partner's.

    The box has the frame's shape and its centre anywhere in the frame; parts outside the frame
    are cut off.

    Args:
        clips: uint8 `(batch, frames, height, width, channels)`.
        share: float32 scalar in 0..1, area that the clip keeps before the box is cut off.
        seed: int64 (2,).

    Returns:
        The mixed clips, and the share of its own pixels that each clip kept.

    Reference:
        [CutMix](https://arxiv.org/abs/1905.04899), Yun et al., 2019.
    """
    frame = tf.cast(tf.shape(clips)[2:4], tf.float32)
    centre = tf.random.stateless_uniform((2,), seed) * frame
    half = frame * tf.sqrt(1 - share) / 2
    first = tf.clip_by_value(tf.round(centre - half), 0, frame)
    last = tf.clip_by_value(tf.round(centre + half), 0, frame)
    box = tf.cast(tf.concat([first, last - first], 0), tf.int32)
    kept = 1 - tf.reduce_prod(last - first) / tf.reduce_prod(frame)
    return paste(clips, _partners(clips), box), kept


def beta(alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """Draws a number from Beta(alpha, alpha).

    Args:
        alpha: number above 0. Small: near 0 or 1; 1: uniform; large: near 1/2.
        seed: int64 (2,).

    Returns:
        float32 scalar in 0..1.
    """
    seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 2))
    # G / (G + H) of two Gamma(alpha) numbers, from their logarithms: for a small alpha the
    # numbers themselves are 0 in float32. Gamma(alpha) is Gamma(alpha + 1) * U ** (1 / alpha).
    gammas = tf.random.stateless_gamma((2,), seeds[0], alpha + 1, dtype=tf.float64)
    uniform = 1 - tf.random.stateless_uniform((2,), seeds[1], dtype=tf.float64)  # never 0
    logarithms = tf.math.log(gammas) + tf.math.log(uniform) / alpha
    return tf.cast(tf.sigmoid(logarithms[0] - logarithms[1]), tf.float32)


def _partners(batch: tf.Tensor) -> tf.Tensor:
    return tf.roll(batch, tf.shape(batch)[0] // 2, axis=0)


def _check(clips: tf.Tensor, labels: tf.Tensor, num_classes: int) -> None:
    check_integer("num_classes", num_classes, 1, 101)
    if clips.dtype != tf.uint8 or clips.shape.rank != 5:
        raise InvalidArgumentError(
            "`clips` must be a uint8 tensor of shape (batch, frames, height, width, channels), "
            f"for example (8, 16, 112, 112, 3). Received: {clips.dtype.name} of shape "
            f"{clips.shape}",
            argument="clips",
        )
    if not labels.dtype.is_integer or labels.shape.rank != 1:
        raise InvalidArgumentError(
            "`labels` must be class ids, int64 of shape (batch,), for example [3, 0, 7]. "
            f"Received: {labels.dtype.name} of shape {labels.shape}",
            argument="labels",
        )
