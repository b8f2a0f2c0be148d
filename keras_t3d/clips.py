"""ClipSpec says what a clip is; the view function turns a video's frames into one.

The view exists in two forms that give the same bytes: `take_view` (NumPy, for
clients and LiteRT) and `take_view_tensorflow` (for pipelines and the graph of a
SavedModel). Both resize with integer weights, so that every intermediate value
is a whole number that float32 holds exactly: the order in which a machine adds
them, or the library that does it, cannot change a pixel.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

Tensor = Any  # TensorFlow's; imported late, so that clients need none

_MOST_VIEWS = 10
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# Each pass of the resize weighs pixels with whole numbers that add up to this.
# 2**11 keeps a pass exact even where matrix products run in TensorFloat-32.
_WEIGHT_SUM = 2048


@dataclasses.dataclass(frozen=True)
class ClipSpec:
    """What a clip is: its frames, their spacing, their size and their normalisation.

    Args:
        num_frames: int. Frames in a clip. Defaults to `16`.
        frame_stride: int. Distance between two frames of the clip, in frames of
            the video. Defaults to `2`.
        resize: int. Length in pixels to which the short side of a frame is
            resized before cropping. Defaults to `128`.
        crop: int or pair of ints (height, width), in pixels; no side longer than
            `resize`. Defaults to `112`.
        mean: three floats (R, G, B), in 0..1 units. Defaults to ImageNet's.
        std: three floats (R, G, B), in 0..1 units. Defaults to ImageNet's.

    Raises:
        ValueError: if a value is out of its range.

    Example:

    ```python
    spec = ClipSpec(num_frames=16, frame_stride=2, resize=128, crop=112)
    spec.input_shape  # (16, 112, 112, 3)
    ```
    """

    num_frames: int = 16
    frame_stride: int = 2
    resize: int = 128
    crop: int | tuple[int, int] = 112
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD

    def __post_init__(self) -> None:
        for name in ("num_frames", "frame_stride", "resize"):
            value = getattr(self, name)
            if not _is_whole(value) or value < 1:
                raise ValueError(
                    f"ClipSpec: `{name}` must be a whole number of at least 1, "
                    f"for example {name}={_default(name)}. Received: {value!r}"
                )
            object.__setattr__(self, name, int(value))
        object.__setattr__(self, "crop", _checked_crop(self.crop, self.resize))
        for name in ("mean", "std"):
            object.__setattr__(self, name, _checked_channels(name, getattr(self, name)))

    @property
    def crop_size(self) -> tuple[int, int]:
        """Height and width of the crop, in pixels."""
        return (self.crop, self.crop) if isinstance(self.crop, int) else self.crop

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """Shape of one clip: (frames, height, width, 3)."""
        return (self.num_frames, *self.crop_size, 3)

    @property
    def span(self) -> int:
        """Frames of the video that a clip reaches over, both ends counted."""
        return (self.num_frames - 1) * self.frame_stride + 1

    def get_config(self) -> dict[str, Any]:
        """Returns the fields as plain JSON values; `from_config` reads them back."""
        config = dataclasses.asdict(self)
        for name in ("crop", "mean", "std"):
            if isinstance(config[name], tuple):
                config[name] = list(config[name])
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ClipSpec:
        """Builds the spec from what `get_config` returned."""
        known = {field.name for field in dataclasses.fields(cls)}
        unknown = sorted(set(config) - known)
        if unknown:
            raise ValueError(
                f"ClipSpec: unknown fields {unknown}. Its fields are {sorted(known)}. "
                f"Received: {config!r}"
            )
        return cls(**config)

    @classmethod
    def for_input_shape(cls, input_shape: Sequence[int]) -> ClipSpec:
        """Returns the default spec of a network with this input shape.

        Args:
            input_shape: four ints (frames, height, width, 3).

        Returns:
            A ClipSpec with that many frames and that crop, its short side one
            seventh longer than the crop's longer side (112 of 128, 224 of 256).
        """
        frames, height, width, _ = input_shape
        crop = (height, width) if height != width else height
        return cls(num_frames=frames, resize=round(max(height, width) * 8 / 7), crop=crop)


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _default(name: str) -> Any:
    return next(field.default for field in dataclasses.fields(ClipSpec) if field.name == name)


def _checked_crop(crop: Any, resize: int) -> int | tuple[int, int]:
    sides = (crop,) if _is_whole(crop) else crop
    if (
        not isinstance(sides, (tuple, list))
        or len(sides) not in (1, 2)
        or not all(_is_whole(side) and side >= 1 for side in sides)
    ):
        raise ValueError(
            "ClipSpec: `crop` must be a whole number of pixels or a pair (height, width), "
            f"for example crop=112. Received: {crop!r}"
        )
    if max(sides) > resize:
        raise ValueError(
            "ClipSpec: `crop` must fit into frames whose short side is `resize` pixels "
            f"long, for example resize=128, crop=112. Received: resize={resize}, crop={crop!r}"
        )
    height, width = int(sides[0]), int(sides[-1])
    return height if height == width else (height, width)


def _checked_channels(name: str, values: Any) -> tuple[float, float, float]:
    try:
        channels = tuple(float(value) for value in values)
    except (TypeError, ValueError):
        channels = ()
    lowest_allowed = all(value > 0 for value in channels) if name == "std" else True
    # 0..1 units: a mean of 114 is one in 0..255 units, the commonest mistake.
    if len(channels) != 3 or max(map(abs, channels), default=2.0) > 1 or not lowest_allowed:
        raise ValueError(
            f"ClipSpec: `{name}` must be three numbers (R, G, B) in 0..1 units"
            f"{', above 0' if name == 'std' else ''}, for example {name}={_default(name)}. "
            f"Received: {values!r}"
        )
    return channels


# Where a clip starts, and which frames it takes.


def clip_frames(num_video_frames: int, spec: ClipSpec, start: int | None = None) -> np.ndarray:
    """Returns the indices of the video's frames that a clip takes.

    A video too short for the clip is looped: index i stands for frame i modulo
    the video's length.

    Args:
        num_video_frames: int. Frames in the video, at least 1.
        spec: ClipSpec.
        start: int. First frame of the clip; None takes the clip in the middle of
            the video. Defaults to `None`.

    Returns:
        int64 array of shape (num_frames,).

    Raises:
        ValueError: if the video has no frames, or the clip would start outside it.

    Example:

    ```python
    clip_frames(10, ClipSpec(num_frames=4, frame_stride=2))  # [1, 3, 5, 7]
    ```
    """
    last = last_start(num_video_frames, spec)
    if start is None:
        start = last // 2
    if not 0 <= start <= last:
        raise ValueError(
            f"A clip over {spec.span} frames of a video of {num_video_frames} can start at "
            f"frame 0 to {last}. Received: start={start}"
        )
    return (start + spec.frame_stride * np.arange(spec.num_frames)) % num_video_frames


def last_start(num_video_frames: int, spec: ClipSpec) -> int:
    """Returns the last frame at which a clip may start; 0 where the video must loop."""
    if num_video_frames < 1:
        raise ValueError(
            f"A video needs at least 1 frame to give a clip. Received: {num_video_frames} frames"
        )
    return max(num_video_frames - spec.span, 0)


# Resizing with whole numbers.


def resized_size(height: int, width: int, short_side: int) -> tuple[int, int]:
    """Returns (height, width) scaled so that the short side is `short_side`."""
    shortest = height if height < width else width
    scaled = [(2 * side * short_side + shortest) // (2 * shortest) for side in (height, width)]
    return scaled[0], scaled[1]


@functools.lru_cache(maxsize=64)
def resize_weights(size_in: int, size_out: int) -> np.ndarray:
    """Returns the matrix that resizes `size_in` pixels to `size_out`.

    Triangle filter, widened when shrinking (antialiased bilinear), computed in
    integers: each row is whole numbers that add up to 2048.

    Returns:
        int64 array of shape (size_out, size_in).
    """
    # Distances from output centre (i + 1/2) * in/out - 1/2 to pixel j, times 2 * out.
    centres = (2 * np.arange(size_out)[:, None] + 1) * size_in - size_out
    distances = np.abs(centres - 2 * size_out * np.arange(size_in)[None, :])
    triangle = np.maximum(2 * max(size_in, size_out) - distances, 0)
    cumulated = np.cumsum(triangle, axis=1)
    totals = cumulated[:, -1:]
    rounded = (2 * cumulated * _WEIGHT_SUM + totals) // (2 * totals)
    weights = np.diff(rounded, axis=1, prepend=0)
    weights.flags.writeable = False  # shared by all who ask for these sizes
    return weights


def resize_frames(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes whole frames.

    Args:
        frames: uint8 array of shape (N, H, W, 3).
        height: int. New height, in pixels.
        width: int. New width, in pixels.

    Returns:
        uint8 array of shape (N, height, width, 3).
    """
    rows = resize_weights(frames.shape[1], height)
    columns = resize_weights(frames.shape[2], width)
    return _weigh(_weigh(frames, rows, axis=1), columns, axis=2)


def resize_short_side(frame: np.ndarray, short_side: int) -> np.ndarray:
    """Resizes one frame, uint8 (H, W, 3), so that its short side is `short_side`."""
    height, width = resized_size(frame.shape[0], frame.shape[1], short_side)
    return resize_frames(frame[None], height, width)[0]


def _weigh(frames: np.ndarray, weights: np.ndarray, axis: int) -> np.ndarray:
    """Applies one pass of the resize along `axis` (1: rows, 2: columns)."""
    size_out, size_in = weights.shape
    if size_out == size_in and (weights.diagonal() == _WEIGHT_SUM).all():
        return frames
    moved = np.moveaxis(frames, axis, 0)
    out = np.empty((len(weights), *moved.shape[1:]), np.uint8)
    for index, row in enumerate(weights):
        (used,) = np.nonzero(row)  # a band of few pixels: far less than the whole product
        first, last = used[0], used[-1] + 1
        band = np.tensordot(
            row[first:last].astype(np.float32), moved[first:last].astype(np.float32), 1
        )
        out[index] = np.floor((band + _WEIGHT_SUM // 2) / _WEIGHT_SUM)
    return np.moveaxis(out, 0, axis)


# The view.

CENTRE = (1, 1)


def take_view(
    frames: np.ndarray,
    spec: ClipSpec,
    start: int | None = None,
    position: tuple[int, int] = CENTRE,
) -> np.ndarray:
    """Turns a video's frames into the clip that the model sees.

    ```
    frames (N,H,W,3) -> clip_frames -> short side to `resize` -> crop -> (T,h,w,3)
    ```

    Args:
        frames: uint8 array of shape (frames, height, width, 3), RGB.
        spec: ClipSpec.
        start: int. First frame of the clip; None takes the middle of the video.
            Defaults to `None`.
        position: pair of ints. Where the crop lies, vertically and horizontally:
            0 is the start of the axis, 1 its middle, 2 its end. Defaults to the
            centre, `(1, 1)`.

    Returns:
        uint8 array of shape `spec.input_shape`.

    Raises:
        ValueError: if `frames` is not a uint8 video, or `start` lies outside it.

    Example:

    ```python
    clip = take_view(np.zeros((40, 240, 320, 3), np.uint8), ClipSpec())
    clip.shape  # (16, 112, 112, 3)
    ```
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise ValueError(
            "`frames` must be a uint8 array of shape (frames, height, width, 3), "
            "for example np.zeros((40, 240, 320, 3), np.uint8). "
            f"Received: {frames.dtype} of shape {frames.shape}"
        )
    chosen = frames[clip_frames(len(frames), spec, start)]
    height, width = frames.shape[1:3]
    scaled_height, scaled_width = resized_size(height, width, spec.resize)
    top, left = crop_offsets(scaled_height, scaled_width, spec, position)
    rows = resize_weights(height, scaled_height)[top : top + spec.crop_size[0]]
    columns = resize_weights(width, scaled_width)[left : left + spec.crop_size[1]]
    return np.ascontiguousarray(_weigh(_weigh(chosen, rows, axis=1), columns, axis=2))


def crop_offsets(
    height: int, width: int, spec: ClipSpec, position: tuple[int, int] = CENTRE
) -> tuple[int, int]:
    """Returns (top, left) of the crop in a frame of that size; see `take_view`."""
    crop_height, crop_width = spec.crop_size
    return (height - crop_height) * position[0] // 2, (width - crop_width) * position[1] // 2


def take_view_tensorflow(
    frames: Tensor,
    spec: ClipSpec,
    start: Tensor | int | None = None,
    position: Tensor | tuple[int, int] = CENTRE,
) -> Tensor:
    """The TensorFlow form of `take_view`: the same bytes, in a graph, on any size.

    Args:
        frames: uint8 tensor of shape (frames, height, width, 3); all three sizes
            may be unknown until the graph runs.
        spec: ClipSpec.
        start: int or int tensor; None takes the middle of the video.
            Defaults to `None`.
        position: pair of ints or int tensors. Defaults to the centre.

    Returns:
        uint8 tensor of shape `spec.input_shape`.
    """
    import tensorflow as tf

    shape = tf.shape(frames, out_type=tf.int64)
    chosen = tf.gather(frames, clip_frames_tensorflow(shape[0], spec, start))
    return resize_and_crop_tensorflow(chosen, spec, position)


def clip_frames_tensorflow(
    num_video_frames: Tensor, spec: ClipSpec, start: Tensor | int | None = None
) -> Tensor:
    """The TensorFlow form of `clip_frames`."""
    import tensorflow as tf

    num_video_frames = tf.cast(num_video_frames, tf.int64)
    if start is None:
        start = tf.maximum(num_video_frames - spec.span, 0) // 2
    offsets = spec.frame_stride * tf.range(spec.num_frames, dtype=tf.int64)
    return (tf.cast(start, tf.int64) + offsets) % num_video_frames


def resize_and_crop_tensorflow(
    frames: Tensor, spec: ClipSpec, position: Tensor | tuple[int, int] = CENTRE
) -> Tensor:
    """The spatial half of `take_view_tensorflow`, for frames already chosen."""
    import tensorflow as tf

    shape = tf.shape(frames, out_type=tf.int64)
    height, width = shape[1], shape[2]
    shortest = tf.minimum(height, width)
    scaled_height, scaled_width = (
        (2 * side * spec.resize + shortest) // (2 * shortest) for side in (height, width)
    )
    crop_height, crop_width = spec.crop_size
    top = (scaled_height - crop_height) * tf.cast(position[0], tf.int64) // 2
    left = (scaled_width - crop_width) * tf.cast(position[1], tf.int64) // 2

    def crop_only() -> Tensor:
        return frames[:, top : top + crop_height, left : left + crop_width]

    def resize_then_crop() -> Tensor:
        rows = _resize_weights_tensorflow(height, scaled_height)[top : top + crop_height]
        columns = _resize_weights_tensorflow(width, scaled_width)[left : left + crop_width]
        (rows, above, below), (columns, before, behind) = _band(rows), _band(columns)
        used = frames[:, above:below, before:behind]  # the rest of a frame is cropped off
        count, width_used = shape[0], behind - before
        flat = tf.reshape(tf.cast(used, tf.float32), (count, below - above, width_used * 3))
        tall = _round_tensorflow(tf.matmul(rows[None], flat))
        # Channel by channel in one matrix product: thousands of small ones take far longer.
        lines = tf.transpose(tf.reshape(tall, (count * crop_height, width_used, 3)), (0, 2, 1))
        lines = tf.reshape(lines, (-1, width_used))
        wide = _round_tensorflow(tf.matmul(lines, columns, transpose_b=True))
        wide = tf.reshape(wide, (count, crop_height, 3, crop_width))
        return tf.cast(tf.transpose(wide, (0, 1, 3, 2)), tf.uint8)

    clip = tf.cond(tf.equal(shortest, spec.resize), crop_only, resize_then_crop)
    return tf.ensure_shape(clip, spec.input_shape)


def _band(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The columns of a weight matrix that are not all 0, and where they begin and end."""
    import tensorflow as tf

    used = tf.cast(tf.reduce_any(weights > 0, axis=0), tf.int32)
    first = tf.argmax(used)
    last = tf.shape(used, out_type=tf.int64)[0] - tf.argmax(tf.reverse(used, [0]))
    return weights[:, first:last], first, last


def _round_tensorflow(weighed: Tensor) -> Tensor:
    import tensorflow as tf

    return tf.floor((weighed + _WEIGHT_SUM // 2) / _WEIGHT_SUM)


def _resize_weights_tensorflow(size_in: Tensor, size_out: Tensor) -> Tensor:
    """The TensorFlow form of `resize_weights`, as float32 whole numbers."""
    import tensorflow as tf

    centres = (2 * tf.range(size_out)[:, None] + 1) * size_in - size_out
    distances = tf.abs(centres - 2 * size_out * tf.range(size_in)[None, :])
    triangle = tf.maximum(2 * tf.maximum(size_in, size_out) - distances, 0)
    cumulated = tf.cumsum(triangle, axis=1)
    totals = cumulated[:, -1:]
    rounded = (2 * cumulated * _WEIGHT_SUM + totals) // (2 * totals)
    weights = rounded - tf.pad(rounded[:, :-1], ((0, 0), (1, 0)))
    return tf.cast(weights, tf.float32)


# Views for evaluation: n starts times m crops.


def view_starts(num_video_frames: int, spec: ClipSpec, num_views: int | None = None) -> list[int]:
    """Returns where `num_views` clips start, spread over the whole video.

    One view is the middle; two or more reach both ends of the video. None is as many as cover
    it without gaps, at most 10.

    Example:

    ```python
    view_starts(100, ClipSpec(num_frames=16, frame_stride=2), 3)  # [0, 35, 69]
    ```
    """
    if num_views is None:
        num_views = min(-(-num_video_frames // spec.span), _MOST_VIEWS)
    if num_views < 1:
        raise ValueError(f"`num_views` must be at least 1. Received: {num_views}")
    last = last_start(num_video_frames, spec)
    if num_views == 1:
        return [last // 2]
    gaps = num_views - 1
    return [(2 * view * last + gaps) // (2 * gaps) for view in range(num_views)]


def crop_positions(num_crops: int, height: int, width: int) -> list[tuple[int, int]]:
    """Returns the crop positions of a test-time protocol; see `take_view`.

    Args:
        num_crops: 1 (centre), 3 (along the long side) or 5 (centre and corners).
        height: int. The video's height, in pixels.
        width: int. The video's width, in pixels.
    """
    if num_crops == 1:
        return [CENTRE]
    if num_crops == 3:
        return [(1, along) for along in range(3)] if width >= height else [(a, 1) for a in range(3)]
    if num_crops == 5:
        return [CENTRE, (0, 0), (0, 2), (2, 0), (2, 2)]
    raise ValueError(
        f"`num_crops` must be 1 (centre), 3 (along the long side) or 5 (centre and corners). "
        f"Received: {num_crops}"
    )
