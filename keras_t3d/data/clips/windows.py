"""The window of a frame that a training clip shows.

Windows are drawn with NumPy. Placing them in a frame needs only sums, products, quotients and
floors of float64, which NumPy and TensorFlow round alike, so both forms give the same integers.
"""

from __future__ import annotations

import numpy as np

from keras_t3d.clips import ClipSpec, Tensor
from keras_t3d.data.augmentation.options import Augmentation

_CORNERS = np.array([[0.5, 0.5], [0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def drawn_windows(draws: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    """Returns windows that are not yet placed in a frame.

    Args:
        draws: float64 (..., 4), values in [0, 1).
        augmentation: how windows are drawn.

    Returns:
        float64 (..., 4): height and width in units of the largest window of the crop's shape
        (with `crop="random"`: of the test view's), and vertical and horizontal position, from 0
        (start) to 1 (end).
    """
    size, place = np.ones_like(draws[..., :2]), draws[..., 2:]
    if augmentation.crop == "random_resized":
        area = augmentation.min_area + draws[..., 0] * (1 - augmentation.min_area)
        stretch = augmentation.max_stretch ** (draws[..., 1] - 0.5)
        size = np.sqrt(area)[..., None] * np.stack([stretch, 1 / stretch], axis=-1)
    elif augmentation.crop == "corners":
        scales = np.array(augmentation.scales)
        size = size * scales[(draws[..., 0] * len(scales)).astype(np.int64)][..., None]
        place = _CORNERS[(draws[..., 1] * len(_CORNERS)).astype(np.int64)]
    return np.concatenate([size, place], axis=-1)


def place_window(
    height: int, width: int, clip_spec: ClipSpec, augmentation: Augmentation, window: np.ndarray
) -> np.ndarray:
    """Places a window of `drawn_windows` in a frame.

    Args:
        height: height of the stored frames in pixels.
        width: width of the stored frames in pixels.
        clip_spec: size of the clip.
        augmentation: how windows are drawn.
        window: float64 (4,).

    Returns:
        int64 (top, left, height, width), inside the frame.

    Example:

    ```python
    augmentation = Augmentation(crop="corners")
    drawn = drawn_windows(np.array([0.3, 0.1, 0.0, 0.99]), augmentation)
    top, left, height, width = place_window(128, 170, clip_spec, augmentation, drawn)
    ```
    """
    frame = np.array([height, width], np.float64)
    shape = np.array(clip_spec.crop_size, np.float64)
    unit = min(frame) / clip_spec.resize if augmentation.crop == "random" else min(frame / shape)
    size = np.clip(np.floor(shape * unit * window[:2] + 0.5), 1, frame)
    # All positions are equally likely, including the last.
    places = frame - size + 1
    offset = np.minimum(np.floor(window[2:] * places), places - 1)
    return np.concatenate([offset, size]).astype(np.int64)


def place_window_tensorflow(
    height: Tensor, width: Tensor, clip_spec: ClipSpec, augmentation: Augmentation, window: Tensor
) -> Tensor:
    """The TensorFlow form of `place_window`: int32, as the JPEG decoder needs."""
    import tensorflow as tf

    frame = tf.cast(tf.stack([height, width]), tf.float64)
    shape = tf.constant(clip_spec.crop_size, tf.float64)
    if augmentation.crop == "random":
        unit = tf.reduce_min(frame) / clip_spec.resize
    else:
        unit = tf.reduce_min(frame / shape)
    size = tf.clip_by_value(tf.floor(shape * unit * window[:2] + 0.5), 1, frame)
    places = frame - size + 1
    offset = tf.minimum(tf.floor(window[2:] * places), places - 1)
    return tf.cast(tf.concat([offset, size], 0), tf.int32)
