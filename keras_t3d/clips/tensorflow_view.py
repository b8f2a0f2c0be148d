"""The view in TensorFlow, for pipelines and the graph of a SavedModel.

It returns the same bytes as `keras_t3d.clips.view`.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from keras_t3d.clips.clip_spec import ClipSpec
from keras_t3d.clips.resize import WEIGHT_SUM
from keras_t3d.clips.view import CENTRE, Tensor


def take_view_tensorflow(
    frames: Tensor,
    clip_spec: ClipSpec,
    start: Tensor | int | None = None,
    position: Tensor | tuple[int, int] = CENTRE,
) -> Tensor:
    """Returns the same bytes as `take_view`, in a graph, for frames of any size.

    Args:
        frames: uint8 tensor of shape (frames, height, width, 3); all three sizes may be unknown
            until the graph runs.
        clip_spec: the clip.
        start: index of the clip's first frame; None centres the clip in the video.
        position: vertical and horizontal position of the crop, 0 to 2 each.

    Returns:
        uint8 tensor of shape `clip_spec.input_shape`.
    """
    shape = tf.shape(frames, out_type=tf.int64)
    chosen = tf.gather(frames, clip_frames_tensorflow(shape[0], clip_spec, start))
    return resize_and_crop_tensorflow(chosen, clip_spec, position)


def views_of_videos_tensorflow(videos: Tensor, clip_spec: ClipSpec) -> Tensor:
    """Returns the centre views of a batch of videos, without branches.

    A video of exactly the sizes of a view is one. Other runtimes than TensorFlow read this graph.
    OpenVINO 2026.4 computes branches before a network wrongly at the first inference.

    Args:
        videos: uint8 tensor of shape (batch, frames, height, width, 3).
        clip_spec: the clip.

    Returns:
        uint8 tensor of shape (batch, *clip_spec.input_shape).
    """
    shape = tf.shape(videos, out_type=tf.int64)
    is_view = tf.reduce_all(tf.equal(shape[1:], clip_spec.input_shape))
    frames = tf.range(clip_spec.num_frames, dtype=tf.int64)
    chosen = tf.where(is_view, frames, clip_frames_tensorflow(shape[1], clip_spec))
    size, corner = _resized_size_and_corner(shape[2], shape[3], clip_spec, CENTRE)
    size = tf.where(is_view, shape[2:4], size)  # the weights are 1 then
    corner = tf.where(is_view, tf.zeros_like(corner), corner)
    flat = tf.reshape(tf.gather(videos, chosen, axis=1), tf.concat([[-1], shape[2:]], axis=0))
    crop = clip_spec.crop_size
    # Of whole frames, whose sizes are known where those of the video are.
    rows, columns = _weights_of_crop(flat, tf.unstack(size), tf.unstack(corner), crop)
    views = _weighed(flat, rows, columns, crop)
    return tf.reshape(views, (-1, *clip_spec.input_shape))


def clip_frames_tensorflow(
    num_video_frames: Tensor, clip_spec: ClipSpec, start: Tensor | int | None = None
) -> Tensor:
    """Returns the same indices as `clip_frames`."""
    num_video_frames = tf.cast(num_video_frames, tf.int64)
    if start is None:
        start = tf.maximum(num_video_frames - clip_spec.span, 0) // 2
    offsets = clip_spec.frame_stride * tf.range(clip_spec.num_frames, dtype=tf.int64)
    return (tf.cast(start, tf.int64) + offsets) % num_video_frames


def resize_and_crop_tensorflow(
    frames: Tensor, clip_spec: ClipSpec, position: Tensor | tuple[int, int] = CENTRE
) -> Tensor:
    """Resizes and crops the frames of a clip: the spatial half of `take_view_tensorflow`."""
    shape = tf.shape(frames, out_type=tf.int64)
    height, width = shape[1], shape[2]
    size, corner = _resized_size_and_corner(height, width, clip_spec, position)
    (top, left), (crop_height, crop_width) = tf.unstack(corner), clip_spec.crop_size

    def crop_only() -> Tensor:
        return frames[:, top : top + crop_height, left : left + crop_width]

    def resize_then_crop() -> Tensor:
        return _resize_and_crop(frames, tf.unstack(size), (top, left), clip_spec.crop_size)

    is_resized = tf.equal(tf.minimum(height, width), clip_spec.resize)
    clip = tf.cond(is_resized, crop_only, resize_then_crop)
    return tf.ensure_shape(clip, clip_spec.input_shape)


def _resized_size_and_corner(
    height: Tensor, width: Tensor, clip_spec: ClipSpec, position: Tensor | tuple[int, int]
) -> tuple[Tensor, Tensor]:
    """Returns (height, width) of the resized frames, and (top, left) of the crop."""
    sides, shortest = tf.stack([height, width]), tf.minimum(height, width)
    size = (2 * sides * clip_spec.resize + shortest) // (2 * shortest)
    return size, (size - clip_spec.crop_size) * tf.cast(position, tf.int64) // 2


def _resize_and_crop(
    frames: Tensor, size: Sequence[Tensor], corner: Sequence[Tensor], crop: tuple[int, int]
) -> Tensor:
    """Returns the same bytes as `keras_t3d.clips.resize.resize_and_crop`."""
    rows, columns = _weights_of_crop(frames, size, corner, crop)
    (rows, above, below), (columns, before, behind) = _band(rows), _band(columns)
    # The crop needs no more of a frame.
    return _weighed(frames[:, above:below, before:behind], rows, columns, crop)


def _weights_of_crop(
    frames: Tensor, size: Sequence[Tensor], corner: Sequence[Tensor], crop: tuple[int, int]
) -> tuple[Tensor, Tensor]:
    shape = tf.shape(frames, out_type=tf.int64)
    rows = _resize_weights_tensorflow(shape[1], size[0], corner[0], crop[0])
    return rows, _resize_weights_tensorflow(shape[2], size[1], corner[1], crop[1])


def _weighed(frames: Tensor, rows: Tensor, columns: Tensor, crop: tuple[int, int]) -> Tensor:
    """Returns uint8 frames of the crop's size, from frames and the weights of their pixels."""
    shape = tf.shape(frames, out_type=tf.int64)
    count, height, width = shape[0], shape[1], shape[2]
    flat = tf.reshape(tf.cast(frames, tf.float32), (count, height, width * 3))
    tall = _round_tensorflow(tf.matmul(rows[None], flat))
    # One matrix product per channel: thousands of small ones take far longer.
    lines = tf.transpose(tf.reshape(tall, (count * crop[0], width, 3)), (0, 2, 1))
    lines = tf.reshape(lines, (-1, width))
    wide = _round_tensorflow(tf.matmul(lines, columns, transpose_b=True))
    wide = tf.reshape(wide, (count, crop[0], 3, crop[1]))
    return tf.cast(tf.transpose(wide, (0, 1, 3, 2)), tf.uint8)


def _band(weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the columns of a weight matrix that are not all 0, their start and their end."""
    used = tf.cast(tf.reduce_any(weights > 0, axis=0), tf.int32)
    first = tf.argmax(used)
    last = tf.shape(used, out_type=tf.int64)[0] - tf.argmax(tf.reverse(used, [0]))
    return weights[:, first:last], first, last


def _round_tensorflow(weighed: Tensor) -> Tensor:
    return tf.floor((weighed + WEIGHT_SUM // 2) / WEIGHT_SUM)


def _resize_weights_tensorflow(
    size_in: Tensor, size_out: Tensor, first: Tensor, count: int
) -> Tensor:
    """Returns the same integers as `resize_weights`, as float32."""
    centres = (2 * tf.range(first, first + count)[:, None] + 1) * size_in - size_out
    distances = tf.abs(centres - 2 * size_out * tf.range(size_in)[None, :])
    triangle = tf.maximum(2 * tf.maximum(size_in, size_out) - distances, 0)
    cumulated = tf.cumsum(triangle, axis=1)
    totals = cumulated[:, -1:]
    rounded = (2 * cumulated * WEIGHT_SUM + totals) // (2 * totals)
    weights = rounded - tf.pad(rounded[:, :-1], ((0, 0), (1, 0)))
    return tf.cast(weights, tf.float32)
