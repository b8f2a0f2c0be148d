"""Reads the views of a whole video that a model predicts."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Callable, Collection, Iterable, Sequence

import numpy as np

from keras_t3d.clips import (
    ClipSpec,
    clip_frames,
    crop_offsets,
    resize_short_side,
    resized_size,
    view_starts,
)
from keras_t3d.clips.frame_rate import frames_for_clips
from keras_t3d.clips.resize import columns_of_crop, resize_and_crop
from keras_t3d.data.video.reader import VideoReader

PickFrames = Callable[[VideoReader, Collection[int], ClipSpec], dict[int, np.ndarray]]


@dataclasses.dataclass(frozen=True)
class VideoViews:
    """The views of a video.

    Attributes:
        clips: uint8 array (views, *clip_spec.input_shape).
        damage: see `keras_t3d.data.Video`; None if the video is complete.
    """

    clips: np.ndarray
    damage: str | None


def read_views(
    path: str | os.PathLike[str],
    clip_spec: ClipSpec,
    num_views: int | None,
    start: float | None = None,
    end: float | None = None,
    frame_decoded: Callable[[], None] | None = None,
) -> VideoViews:
    """Reads the views of a video; the arguments are those of `read_clips`."""
    frames, damage = read_clips(
        path, clip_spec, num_views, clip_frames, cropped_frames, start, end, frame_decoded
    )
    return VideoViews(np.array(frames), damage)


def read_clips(
    path: str | os.PathLike[str],
    clip_spec: ClipSpec,
    num_views: int | None,
    frames_of: Callable[[int, ClipSpec, int], Iterable[int]],
    pick: PickFrames,
    start: float | None = None,
    end: float | None = None,
    frame_decoded: Callable[[], None] | None = None,
) -> tuple[list[list[np.ndarray]], str | None]:
    """Returns the frames of each view of a video.

    The video is decoded once if its header states the right number of frames, otherwise, and for
    a span and a ClipSpec with a frame rate, twice.

    Args:
        path: path of the video.
        clip_spec: the clips that the model reads.
        num_views: see `predict_video`.
        frames_of: returns the indices of a view's frames, given the number of frames of the video,
            the ClipSpec and the first frame of the view.
        pick: `cropped_frames` or `whole_frames`.
        start: as for VideoReader.
        end: as for VideoReader.
        frame_decoded: as for VideoReader.

    Returns:
        The frames of each view, and the damage, see `keras_t3d.data.Video`.
    """

    def opened() -> VideoReader:
        return VideoReader(path, 1, start, end, frame_decoded)

    with opened() as reader:
        states_frames = clip_spec.fps is None and start is None and end is None
        known: Sequence[int] = range((states_frames and reader.header.num_frames) or 0)
        clips = _indices(known, clip_spec, num_views, frames_of) if known else []
        frames = pick(reader, set(itertools.chain(*clips)), clip_spec)
        num_frames = reader.num_decoded
        times = reader.times
    if num_frames != len(known):
        known = frames_for_clips(num_frames, times, clip_spec).tolist()
        clips = _indices(known, clip_spec, num_views, frames_of)
        with opened() as reader:
            frames = pick(reader, set(itertools.chain(*clips)), clip_spec)
    return [[frames[index] for index in clip] for clip in clips], reader.damage


def _indices(
    known: Sequence[int],
    clip_spec: ClipSpec,
    num_views: int | None,
    frames_of: Callable[[int, ClipSpec, int], Iterable[int]],
) -> list[list[int]]:
    """Returns the indices in the video of each view's frames, which are among `known`."""
    starts = view_starts(len(known), clip_spec, num_views)
    return [[known[int(i)] for i in frames_of(len(known), clip_spec, start)] for start in starts]


def whole_frames(
    reader: VideoReader, indices: Collection[int], clip_spec: ClipSpec
) -> dict[int, np.ndarray]:
    """Returns frames by index, whose short side has the length to which the model resizes it."""
    return {
        index: resize_short_side(frame, clip_spec.resize) for index, frame in reader.pick(indices)
    }


def cropped_frames(
    reader: VideoReader, indices: Collection[int], clip_spec: ClipSpec
) -> dict[int, np.ndarray]:
    """Returns frames by index, of the size of the model's centre crop."""

    def columns(height: int, width: int) -> tuple[int, int]:
        return columns_of_crop(width, *_crop_of(height, width, clip_spec))

    # Columns beside the crop would take half of the time of wide frames.
    picked = reader.pick_columns(indices, columns)
    return {
        index: resize_and_crop(part[None], *_crop_of(len(part), width, clip_spec), width)[0]
        for index, part, width in picked
    }


def _crop_of(
    height: int, width: int, clip_spec: ClipSpec
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """Returns size, corner and crop, as `resize_and_crop` takes them, for frames of this size."""
    size = resized_size(height, width, clip_spec.resize)
    return size, crop_offsets(*size, clip_spec), clip_spec.crop_size
