"""The phases of the NumPy form: sample and decode, without TensorFlow."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from keras_t3d.clips import ClipSpec, clip_frames, take_view
from keras_t3d.clips.frame_rate import frames_for_clips
from keras_t3d.data.clips.clip import Clip
from keras_t3d.data.clips.clip_draws import ClipDraws
from keras_t3d.data.clips.plan import ReadPlan
from keras_t3d.data.clips.record_keys import video_key
from keras_t3d.data.clips.sampling import known_times, sample_frames
from keras_t3d.data.clips.windows import place_window
from keras_t3d.data.shards.partial_record import take_frames
from keras_t3d.data.shards.record import StoredVideo


def training_clip(video: StoredVideo, draws: ClipDraws, plan: ReadPlan) -> Clip:
    """Samples and decodes a training clip: frames, window and flip."""
    clip_spec = plan.clip_spec
    frames = sample_frames(video, float(draws.start), draws.segments, clip_spec, plan.options)
    top, left, height, width = place_window(
        video.height, video.width, clip_spec, plan.augmentation, draws.window
    ).tolist()
    pixels = _decode(video, frames)[:, top : top + height, left : left + width]
    if (height, width) != clip_spec.crop_size:
        pixels = resize_bilinear(pixels, *clip_spec.crop_size)
    if draws.mirrored and video.label_index not in plan.unmirrored:
        pixels = pixels[:, :, ::-1]
    return _clip(video, pixels, frames, np.float32(1), draws.distortion)


def evaluation_clip(video: StoredVideo, weight: np.float32, plan: ReadPlan) -> Clip:
    """Decodes the centre view, only the frames that it takes."""
    times = known_times(video, plan.clip_spec)
    known = frames_for_clips(len(video.frames), times, plan.clip_spec)
    frames = known[clip_frames(len(known), plan.clip_spec)]
    # The frames are already those at `frame_stride`.
    spec = ClipSpec.from_config({**plan.clip_spec.get_config(), "frame_stride": 1})
    pixels = take_view(_decode(video, frames), spec, start=0)
    return _clip(video, pixels, frames, weight, np.zeros(2, np.int64))


def _clip(
    video: StoredVideo, pixels: np.ndarray, frames: np.ndarray, weight: np.float32, seed: np.ndarray
) -> Clip:
    return Clip(
        pixels=pixels,
        label=np.int64(video.label_index),
        key=video_key(video),
        frames=frames,
        fps=np.float32(video.fps),
        weight=weight,
        seed=seed,
        features={},
    )


def _decode(video: StoredVideo, frames: np.ndarray) -> np.ndarray:
    distinct, rows = np.unique(frames, return_inverse=True)  # a looped video repeats frames
    encoded = take_frames(video, distinct.tolist())
    images = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in encoded]
    return np.stack([np.asarray(image) for image in images])[rows]


def resize_bilinear(frames: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resizes frames as `tf.image.resize` does: bilinear, no antialiasing, in float32.

    Args:
        frames: uint8 (frames, height, width, channels).
        height: new height in pixels.
        width: new width in pixels.
    """
    below, above, share = _neighbours(frames.shape[2], width)
    left, right = (frames[:, :, columns].astype(np.float32) for columns in (below, above))
    wide = left + (right - left) * share[:, None]
    below, above, share = _neighbours(frames.shape[1], height)
    upper, lower = wide[:, below], wide[:, above]
    return (upper + (lower - upper) * share[:, None, None] + np.float32(0.5)).astype(np.uint8)


def _neighbours(size_in: int, size_out: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scale = np.float32(size_in) / np.float32(size_out)
    places = (np.arange(size_out, dtype=np.float32) + np.float32(0.5)) * scale - np.float32(0.5)
    floor = np.floor(places)
    below = np.maximum(floor, 0).astype(np.int64)
    above = np.minimum(np.ceil(places), size_in - 1).astype(np.int64)
    return below, above, places - floor
