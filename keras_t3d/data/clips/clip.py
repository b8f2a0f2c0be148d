"""A decoded clip, the functions users may apply to it, and how batches are handed out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from keras_t3d.data.clips.record_keys import source_number
from keras_t3d.errors import InvalidArgumentError

Array = Any  # NumPy array in the NumPy form, tensor in the tf.data form

CLIPS = "clips"
VIDEOS = "videos"
_PADDING = -1  # video number of clips that only fill the last batch


class Clip(NamedTuple):
    """One decoded clip and its metadata; with a leading batch axis, a batch of them.

    Attributes:
        pixels: uint8 (num_frames, height, width, 3), values 0..255.
        label: int64 scalar. Class id as stored, -1 for none.
        key: string scalar. Record id, or a hash of its first frame, see `record_key`.
        frames: int64 (num_frames,). Indices of the clip's frames in the record.
        fps: float32 scalar. Frame rate of the video, 0.0 if unknown.
        weight: float32 scalar. 0 for clips that only fill the last batch, else 1.
        seed: int64 (2,). Training: seed of random changes to this clip.
        features: further arrays by name, which transforms add. Batches then hold a dict of
            `"clips"` and these features in place of the pixels.
    """

    pixels: Array
    label: Array
    key: Array
    frames: Array
    fps: Array
    weight: Array
    seed: Array
    features: dict[str, Array]


Transform = Callable[[Clip], Clip]


def apply_transforms(clip: Clip, transforms: Iterable[Transform]) -> Clip:
    """Returns the clip after all transforms, in their order.

    Raises:
        InvalidArgumentError: if a transform returns anything but a Clip.
    """
    for transform in transforms:
        clip = transform(clip)
        if not isinstance(clip, Clip):
            raise InvalidArgumentError(
                "`transforms` must return the Clip they change, for example "
                f"clip._replace(pixels=...). Received: {type(clip).__name__} from {transform}",
                argument="transforms",
            )
    return clip


def stack_clips(clips: Sequence[Clip]) -> Clip:
    """Returns a batch of NumPy clips; `key` becomes a list of strings."""
    pixels, label, _, frames, fps, weight, seed, features = zip(*clips, strict=True)
    return Clip(
        pixels=np.stack(pixels),
        label=np.array(label, np.int64),
        key=[clip.key for clip in clips],
        frames=np.stack(frames),
        fps=np.array(fps, np.float32),
        weight=np.array(weight, np.float32),
        seed=np.stack(seed),
        features={name: np.stack([own[name] for own in features]) for name in features[0]},
    )


def model_inputs(clips: Clip) -> Array | dict[str, Array]:
    """Returns what models receive: the pixels, or a dict where transforms added features."""
    return {CLIPS: clips.pixels, **clips.features} if clips.features else clips.pixels


def video_numbers(keys: Sequence[str], weights: np.ndarray) -> np.ndarray:
    """Returns the number of each clip's source video, -1 for padding: int32 (batch,)."""
    numbers = np.array([source_number(key) for key in keys], np.int32)
    return np.where(weights > 0, numbers, np.int32(_PADDING))
