"""Random windows and flips for training, the same for every frame of a clip."""

from __future__ import annotations

import dataclasses

from keras_t3d.clips import ClipSpec, Tensor

CROPS = ("random_resized", "corners", "random")


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How training clips are cut out of their frames.

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

    Raises:
        ValueError: if a value is out of its range.

    Example:

    ```python
    Augmentation(crop="corners", flip=False)
    ```
    """

    crop: str = "random_resized"
    min_area: float = 0.4
    max_stretch: float = 4 / 3
    scales: tuple[float, ...] = (1.0, 0.875, 0.75, 0.66)
    flip: bool = True

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


def random_window(
    height: Tensor, width: Tensor, spec: ClipSpec, augmentation: Augmentation, seed: Tensor
) -> Tensor:
    """Draws the window of a frame that becomes the clip.

    Args:
        height: int scalar. Height of the stored frames, in pixels.
        width: int scalar. Width of the stored frames, in pixels.
        spec: ClipSpec.
        augmentation: Augmentation.
        seed: int tensor of shape (2,). The same seed gives the same window.

    Returns:
        int32 tensor (top, left, height, width), inside the frame.
    """
    import tensorflow as tf

    uniform = tf.random.stateless_uniform((4,), seed)
    frame = tf.cast(tf.stack([height, width]), tf.float32)
    shape = tf.constant(spec.crop_size, tf.float32)
    largest = shape * tf.reduce_min(frame / shape)  # of the crop's shape, within the frame
    position = uniform[2:]
    if augmentation.crop == "random_resized":
        area = augmentation.min_area + uniform[0] * (1 - augmentation.min_area)
        stretch = tf.pow(augmentation.max_stretch, uniform[1] - 0.5)
        window = largest * tf.sqrt(area) * tf.stack([stretch, 1 / stretch])
    elif augmentation.crop == "corners":
        scales = tf.constant(augmentation.scales)
        window = largest * scales[tf.cast(uniform[0] * len(augmentation.scales), tf.int32)]
        corners = tf.constant([[0.5, 0.5], [0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        position = corners[tf.cast(uniform[1] * 5, tf.int32)]
    else:
        window = shape * tf.reduce_min(frame) / spec.resize
    window = tf.clip_by_value(tf.round(window), 1, frame)
    # Each place equally likely, the last one too.
    places = frame - window + 1
    offset = tf.minimum(tf.floor(position * places), places - 1)
    return tf.cast(tf.concat([offset, window], 0), tf.int32)


def random_mirror(seed: Tensor) -> Tensor:
    """Draws whether a clip is mirrored: half of the time."""
    import tensorflow as tf

    return tf.random.stateless_uniform((), seed) < 0.5
