"""Training clips of long records in local files, of which only the frames of a clip are read.

A record of 30 seconds takes longer to read and to check than a clip of it to decode.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_t3d.data.clips import order
from keras_t3d.data.clips.clip_draws import ClipDraws
from keras_t3d.data.clips.plan import ReadPlan
from keras_t3d.data.clips.python_calls import call_python
from keras_t3d.data.clips.record_keys import video_key
from keras_t3d.data.clips.sampling import sample_frames
from keras_t3d.data.clips.tensorflow_draws import draw_clips_tensorflow
from keras_t3d.data.clips.tensorflow_phases import Described, Sample, placed_sample
from keras_t3d.data.shards.labels import check_label
from keras_t3d.data.shards.object_store import is_address
from keras_t3d.data.shards.partial_record import take_frames

# Bytes of a record. Shorter ones are read faster as a whole, without Python.
LONG = 2**19
_DRAWN_TOGETHER = 1024  # clips


def has_long_records(plan: ReadPlan) -> bool:
    """Returns whether the records of a split are long, and lie in local files without a cache."""
    records = plan.records
    if plan.options.cache is not False or any(map(is_address, records.paths)):
        return False
    return sum(map(os.path.getsize, records.paths)) > LONG * records.num_videos


def epoch_draws(epoch: tf.Tensor, plan: ReadPlan) -> tf.data.Dataset:
    """Returns the place (shard, record) and the draws of each clip of an epoch, in its order."""
    repeats, size = plan.augmentation.repeats, plan.options.shuffle_buffer

    def order_of(epoch: np.int64) -> np.ndarray:
        records = order.epoch_order(plan.records.examples, plan.seed, int(epoch), size)
        return np.repeat(records, repeats, axis=0)

    def with_draws(number: tf.Tensor, places: tf.Tensor) -> tuple[tf.Tensor, ClipDraws]:
        first = number * _DRAWN_TOGETHER
        clips = tf.range(first, first + tf.shape(places, tf.int64)[0])
        return places, draw_clips_tensorflow(epoch, clips, plan)

    places = call_python(order_of, [epoch], tf.int64)
    places = tf.ensure_shape(places, (plan.records.num_videos * repeats, 2))
    groups = tf.data.Dataset.from_tensor_slices(places).batch(_DRAWN_TOGETHER).enumerate()
    return groups.map(with_draws).unbatch()


def sample_reader(plan: ReadPlan) -> Callable[[tf.Tensor, ClipDraws], Sample]:
    """Returns the function from the place and the draws of a clip to its sample."""
    offsets = functools.cache(plan.records.offsets_in)
    lock = threading.Lock()  # so that the headers of a shard are read once

    def read(place: np.ndarray, start: np.float64, segments: np.ndarray) -> list[object]:
        shard, record = place.tolist()
        with lock:
            offset = offsets(shard)[record]
        with plan.records.opened_video(shard, record, offset) as video:
            if plan.labelled:
                check_label(plan.shards, video, plan.records.paths[shard])
            frames = sample_frames(video, float(start), segments, plan.clip_spec, plan.options)
            encoded = take_frames(video, frames.tolist())
            key = video_key(video)
        return [
            np.array(encoded, object),
            frames,
            np.int64(video.label_index),
            key.encode("utf-8", "surrogateescape"),
            np.int64(video.height),
            np.int64(video.width),
            np.float32(video.fps),
        ]

    dtypes = [tf.string, tf.int64, tf.int64, tf.string, tf.int64, tf.int64, tf.float32]

    def sample(place: tf.Tensor, draws: ClipDraws) -> Sample:
        encoded, frames, *described = call_python(
            read, [place, draws.start, draws.segments], dtypes
        )
        video = Described(*(tf.ensure_shape(value, ()) for value in described))
        shape = (plan.clip_spec.num_frames,)
        encoded, frames = tf.ensure_shape(encoded, shape), tf.ensure_shape(frames, shape)
        return placed_sample(encoded, frames, video, draws, plan)

    return sample
