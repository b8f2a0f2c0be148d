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
from keras_t3d.data.clips.record_keys import video_key
from keras_t3d.data.clips.sampling import sample_frames
from keras_t3d.data.clips.tensorflow_phases import Described, Sample, placed_sample, stacked
from keras_t3d.data.shards.labels import check_label
from keras_t3d.data.shards.object_store import is_address
from keras_t3d.data.shards.partial_record import take_frames

# Bytes of a record. Shorter ones are read faster as a whole, without Python.
LONG = 2**19


def has_long_records(plan: ReadPlan) -> bool:
    """Returns whether the records of a split are long, and lie in local files without a cache."""
    records = plan.records
    if plan.options.cache is not False or any(map(is_address, records.paths)):
        return False
    return sum(map(os.path.getsize, records.paths)) > LONG * records.num_videos


def epoch_places(epoch: tf.Tensor, plan: ReadPlan) -> tf.data.Dataset:
    """Returns (shard, record) of each record of an epoch, in the order of `reading_order`."""
    places = tf.numpy_function(
        lambda epoch: order.reading_order(plan.records.examples, plan.seed, int(epoch)),
        [epoch],
        tf.int64,
    )
    return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(places, (plan.records.num_videos, 2)))


ReadSamples = Callable[[tf.Tensor, ClipDraws], Sample]


def samples_reader(plan: ReadPlan) -> ReadSamples:
    """Returns the function from a place and draws to the samples of a record, stacked."""
    repeats, num_frames = plan.augmentation.repeats, plan.clip_spec.num_frames
    offsets = functools.cache(plan.records.offsets_in)
    lock = threading.Lock()  # so that the headers of a shard are read once

    def read(place: np.ndarray, starts: np.ndarray, segments: np.ndarray) -> list[object]:
        shard, record = place.tolist()
        with lock:
            offset = offsets(shard)[record]
        with plan.records.opened_video(shard, record, offset) as video:
            if plan.labelled:
                check_label(plan.shards, video, plan.records.paths[shard])
            frames = [
                sample_frames(video, start, of_clip, plan.clip_spec, plan.options)
                for start, of_clip in zip(starts.tolist(), segments, strict=True)
            ]
            encoded = [take_frames(video, clip.tolist()) for clip in frames]
            key = video_key(video)
        return [
            np.array(encoded, object),
            np.stack(frames),
            np.int64(video.label_index),
            key.encode("utf-8", "surrogateescape"),
            np.int64(video.height),
            np.int64(video.width),
            np.float32(video.fps),
        ]

    kinds = [tf.string, tf.int64, tf.int64, tf.string, tf.int64, tf.int64, tf.float32]

    def samples(place: tf.Tensor, draws: ClipDraws) -> Sample:
        encoded, frames, *described = tf.numpy_function(
            read, [place, draws.start, draws.segments], kinds
        )
        video = Described(*(tf.ensure_shape(value, ()) for value in described))
        encoded = tf.ensure_shape(encoded, (repeats, num_frames))
        frames = tf.ensure_shape(frames, (repeats, num_frames))
        clips = iter(zip(tf.unstack(encoded), tf.unstack(frames), strict=True))
        return stacked(lambda drawn: placed_sample(*next(clips), video, drawn, plan), draws, plan)

    return samples
