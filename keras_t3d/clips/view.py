"""The view: turns the frames of a video into the clip that a model reads, in NumPy.

`keras_t3d.clips.tensorflow_view` has the TensorFlow form, which returns the same bytes, because
both resize with the integer weights of `keras_t3d.clips.resize`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_t3d.clips.clip_spec import ClipSpec
from keras_t3d.clips.resize import resize_and_crop, resized_size
from keras_t3d.errors import InvalidArgumentError

Tensor = Any  # a TensorFlow tensor, for annotations where TensorFlow is not imported

MAX_AUTOMATIC_VIEWS = 10
CENTRE = (1, 1)


def clip_frames(num_video_frames: int, clip_spec: ClipSpec, start: int | None = None) -> np.ndarray:
    """Returns the indices of the video frames that a clip consists of.

    A video too short for the clip loops: indices are modulo the length of the video.

    Args:
        num_video_frames: number of frames in the video, at least 1.
        clip_spec: the clip.
        start: index of the clip's first frame; None centres the clip in the video.

    Returns:
        int64 array of shape (num_frames,).

    Raises:
        InvalidArgumentError: if the video has no frames, or `start` is out of range.

    Example:

    ```python
    clip_spec = keras_t3d.ClipSpec(num_frames=4, frame_stride=2)
    keras_t3d.clips.clip_frames(10, clip_spec)  # [1, 3, 5, 7]
    ```
    """
    last = last_start(num_video_frames, clip_spec)
    if start is None:
        start = last // 2
    if not 0 <= start <= last:
        raise InvalidArgumentError(
            f"`start` must be from 0 to {last}: the clip spans {clip_spec.span} of the "
            f"{num_video_frames} frames of the video. Received: {start}",
            argument="start",
        )
    return (start + clip_spec.frame_stride * np.arange(clip_spec.num_frames)) % num_video_frames


def last_start(num_video_frames: int, clip_spec: ClipSpec) -> int:
    """Returns the last frame at which a clip can start; 0 if the video must loop."""
    if num_video_frames < 1:
        raise InvalidArgumentError(
            f"`num_video_frames` must be at least 1. Received: {num_video_frames}",
            argument="num_video_frames",
        )
    return max(num_video_frames - clip_spec.span, 0)


def take_view(
    frames: np.ndarray,
    clip_spec: ClipSpec,
    start: int | None = None,
    position: tuple[int, int] = CENTRE,
) -> np.ndarray:
    """Returns the clip that a model reads from the frames of a video.

    ```
    frames (N,H,W,3) -> clip_frames -> short side to `resize` -> crop -> (T,h,w,3)
    ```

    Args:
        frames: uint8 RGB array of shape (frames, height, width, 3).
        clip_spec: the clip.
        start: index of the clip's first frame; None centres the clip in the video.
        position: vertical and horizontal position of the crop: 0 is the start of the axis, 1
            its middle, 2 its end.

    Returns:
        uint8 array of shape `clip_spec.input_shape`.

    Raises:
        InvalidArgumentError: if `frames` is not a uint8 video, or `start` is out of range.

    Example:

    ```python
    clip = keras_t3d.clips.take_view(np.zeros((40, 240, 320, 3), np.uint8), keras_t3d.ClipSpec())
    clip.shape  # (16, 112, 112, 3)
    ```
    """
    frames = np.asarray(frames)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8:
        raise InvalidArgumentError(
            "`frames` must be a uint8 array of shape (frames, height, width, 3), "
            "for example np.zeros((40, 240, 320, 3), np.uint8). "
            f"Received: {frames.dtype} of shape {frames.shape}",
            argument="frames",
        )
    indices = clip_frames(len(frames), clip_spec, start)
    if len(frames) < clip_spec.span:
        chosen = frames[indices]
    else:  # without a copy
        chosen = frames[indices[0] : indices[-1] + 1 : clip_spec.frame_stride]
    size = resized_size(frames.shape[1], frames.shape[2], clip_spec.resize)
    corner = crop_offsets(*size, clip_spec, position)
    return resize_and_crop(chosen, size, corner, clip_spec.crop_size)


def crop_offsets(
    height: int, width: int, clip_spec: ClipSpec, position: tuple[int, int] = CENTRE
) -> tuple[int, int]:
    """Returns (top, left) of the crop in a frame of that size; `position` as in `take_view`."""
    crop_height, crop_width = clip_spec.crop_size
    return (height - crop_height) * position[0] // 2, (width - crop_width) * position[1] // 2


def view_starts(
    num_video_frames: int, clip_spec: ClipSpec, num_views: int | None = None
) -> list[int]:
    """Returns the first frames of `num_views` clips, spread over the whole video.

    One view is centred; two or more reach both ends of the video.

    Args:
        num_video_frames: number of frames in the video, at least 1.
        clip_spec: the clip.
        num_views: number of clips, at least 1; None takes as many as cover the video without
            gaps, at most 10.

    Raises:
        InvalidArgumentError: if a number is less than 1.

    Example:

    ```python
    clip_spec = keras_t3d.ClipSpec(num_frames=16, frame_stride=2)
    keras_t3d.clips.view_starts(100, clip_spec, 3)  # [0, 35, 69]
    ```
    """
    if num_views is None:
        num_views = min(-(-num_video_frames // clip_spec.span), MAX_AUTOMATIC_VIEWS)
    if num_views < 1:
        raise InvalidArgumentError(
            f"`num_views` must be at least 1. Received: {num_views}", argument="num_views"
        )
    last = last_start(num_video_frames, clip_spec)
    if num_views == 1:
        return [last // 2]
    gaps = num_views - 1
    return [(2 * view * last + gaps) // (2 * gaps) for view in range(num_views)]


def crop_positions(num_crops: int, height: int, width: int) -> list[tuple[int, int]]:
    """Returns the positions of the crops of an evaluation protocol, as `take_view` takes them.

    Args:
        num_crops: 1 (centre), 3 (along the long side) or 5 (centre and corners).
        height: height of the video, in pixels.
        width: width of the video, in pixels.

    Raises:
        InvalidArgumentError: if `num_crops` is another number.
    """
    if num_crops == 1:
        return [CENTRE]
    if num_crops == 3:
        return [(1, along) for along in range(3)] if width >= height else [(a, 1) for a in range(3)]
    if num_crops == 5:
        return [CENTRE, (0, 0), (0, 2), (2, 0), (2, 2)]
    raise InvalidArgumentError(
        "`num_crops` must be 1 (centre), 3 (along the long side) or 5 (centre and corners). "
        f"Received: {num_crops}",
        argument="num_crops",
    )
