"""The records of a split as tf.data datasets."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from keras_t3d.data.clips.plan import ReadPlan
from keras_t3d.data.clips.python_calls import call_python
from keras_t3d.data.shards.damage import SplitRecords
from keras_t3d.data.shards.record_file import read_record
from keras_t3d.data.shards.shard_cache import cached_path

ReadShard = Callable[[tf.Tensor], tf.data.Dataset]


def shard_reader(records: SplitRecords, cache: bool | str | os.PathLike[str] = False) -> ReadShard:
    """Returns the function from a shard's index (int64) to its serialized records, in order.

    Args:
        records: records to read.
        cache: see ReadOptions.
    """
    paths = tf.constant(records.paths)

    def path_of(shard: tf.Tensor) -> tf.Tensor:
        if cache is False:
            return paths[shard]
        path = call_python(
            lambda index: cached_path(records.shards[index], cache).encode(), [shard], tf.string
        )
        return tf.ensure_shape(path, ())

    if records.offsets is None:
        return lambda shard: tf.data.TFRecordDataset(path_of(shard))
    offsets = records.offsets

    def intact(shard: tf.Tensor) -> tf.data.Dataset:
        path = path_of(shard)
        begins = call_python(lambda index: offsets[index], [shard], tf.int64)
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(begins, (None,))).map(
            lambda begin: tf.ensure_shape(call_python(_read_at, [path, begin], tf.string), ())
        )

    return intact


def _read_at(path: bytes, offset: np.int64) -> bytes:
    with tf.io.gfile.GFile(os.fsdecode(path), "rb") as file:  # in memory, too
        return read_record(file, int(offset))


def autograph_for_transforms(function: Callable[..., Any], plan: ReadPlan) -> Callable[..., Any]:
    """Returns the function without AutoGraph, which takes a second, unless there are transforms.

    They are functions of users, perhaps with `if` or `for` over tensors; our own have none.
    """
    return function if plan.transforms else tf.autograph.experimental.do_not_convert(function)


def map_in_parallel(dataset: tf.data.Dataset, function: Callable[..., Any]) -> tf.data.Dataset:
    """Returns `dataset.map(function)`, computed by several threads, in the same order."""
    return dataset.map(function, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)


def finish_dataset(batches: tf.data.Dataset, num_batches: int) -> tf.data.Dataset:
    """Returns the dataset with a known length, prefetching, and without automatic sharding."""
    if num_batches != tf.data.UNKNOWN_CARDINALITY:
        batches = batches.apply(tf.data.experimental.assert_cardinality(num_batches))
    options = tf.data.Options()
    # `worker` decides who reads what; devices of one process split each batch among them.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)
