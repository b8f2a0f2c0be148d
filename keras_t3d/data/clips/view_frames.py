"""Frames of evaluation clips: pure functions of a video's length."""

from __future__ import annotations

import numpy as np

from keras_t3d.clips import ClipSpec, view_starts
from keras_t3d.data.clips.sampling import clip_offsets, within_video


def centre_clip(num_video_frames: int, clip_spec: ClipSpec, *, short: str = "loop") -> np.ndarray:
    """Returns the frames of the clip in the middle of the video: int64 (num_frames,).

    Args:
        num_video_frames: at least 1.
        clip_spec: length and stride of the clip.
        short: treatment of short videos, see `keras_t3d.data.clips.sampling.random_clip`.

    Raises:
        InvalidArgumentError: as `random_clip`.

    Example:

    ```python
    centre_clip(10, ClipSpec(num_frames=4, frame_stride=2))  # [1, 3, 5, 7]
    ```
    """
    return dense_views(num_video_frames, clip_spec, 1, short=short)[0]


def dense_views(
    num_video_frames: int, clip_spec: ClipSpec, num_views: int, *, short: str = "loop"
) -> np.ndarray:
    """Returns the frames of clips whose starts are spread over the whole video.

    One view is the middle; two or more reach both ends.

    Args:
        num_video_frames: at least 1.
        clip_spec: length and stride of the clip.
        num_views: at least 1.
        short: treatment of short videos, see `keras_t3d.data.clips.sampling.random_clip`.

    Returns:
        int64 array of shape (num_views, num_frames).

    Raises:
        InvalidArgumentError: as `random_clip`, or if `num_views` is less than 1.

    Example:

    ```python
    dense_views(10, ClipSpec(num_frames=4, frame_stride=2), 2)  # [[0, 2, 4, 6], [3, 5, 7, 9]]
    ```
    """
    starts = np.array(view_starts(num_video_frames, clip_spec, num_views))
    return within_video(starts[:, None] + clip_offsets(clip_spec, None), num_video_frames, short)


def full_cover(num_video_frames: int, clip_spec: ClipSpec, *, short: str = "loop") -> np.ndarray:
    """Returns the frames of consecutive clips that cover every frame of the video.

    With a stride of n, n clips that start one frame apart cover a stretch of
    `num_frames * n` frames; the last stretch ends with the video and overlaps the one
    before it.

    Args:
        num_video_frames: at least 1.
        clip_spec: length and stride of the clip.
        short: treatment of videos shorter than a stretch, see `random_clip`.

    Returns:
        int64 array of shape (clips, num_frames).

    Raises:
        InvalidArgumentError: as `random_clip`.

    Example:

    ```python
    full_cover(5, ClipSpec(num_frames=2, frame_stride=1))  # [[0, 1], [2, 3], [3, 4]]
    ```
    """
    stretch = clip_spec.num_frames * clip_spec.frame_stride
    last = max(num_video_frames - stretch, 0)
    begins = np.minimum(np.arange(0, max(num_video_frames, 1), stretch), last)
    phases = np.arange(min(clip_spec.frame_stride, max(num_video_frames, 1)))
    starts = (begins[:, None] + phases).reshape(-1, 1)
    return within_video(starts + clip_offsets(clip_spec, None), num_video_frames, short)
