"""The records of a split as tf.data datasets."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_t3d.data.shards.damage import SplitRecords
from keras_t3d.data.shards.record_file import read_record
from keras_t3d.data.shards.shard_cache import ShardCache

ReadShard = Callable[[tf.Tensor], tf.data.Dataset]


def shard_reader(records: SplitRecords, cache: bool | str | os.PathLike[str] = False) -> ReadShard:
    """Returns the function from a shard's index (int64) to its serialized records, in order.

    Args:
        records: records to read.
        cache: see ReadOptions.
    """
    copies = None if cache is False else ShardCache(records.shards, cache)
    paths = tf.constant(records.paths)

    def path_of(shard: tf.Tensor) -> tf.Tensor:
        if copies is None:
            return paths[shard]
        path = tf.numpy_function(lambda index: copies.path(index).encode(), [shard], tf.string)
        return tf.ensure_shape(path, ())

    if records.offsets is None:
        return lambda shard: tf.data.TFRecordDataset(path_of(shard))
    offsets = records.offsets

    def intact(shard: tf.Tensor) -> tf.data.Dataset:
        path = path_of(shard)
        begins = tf.numpy_function(lambda index: offsets[index], [shard], tf.int64)
        return tf.data.Dataset.from_tensor_slices(tf.ensure_shape(begins, (None,))).map(
            lambda begin: tf.ensure_shape(tf.numpy_function(_read_at, [path, begin], tf.string), ())
        )

    return intact


def _read_at(path: bytes, offset: np.int64) -> bytes:
    with tf.io.gfile.GFile(os.fsdecode(path), "rb") as file:  # in memory, too
        return read_record(file, int(offset))


def records_in_order(
    records: SplitRecords,
    parse: Callable[[tf.Tensor], dict[str, tf.Tensor]],
    cache: bool | str | os.PathLike[str] = False,
) -> tf.data.Dataset:
    """Returns the parsed records of a split, in the order of the shards."""
    return (
        tf.data.Dataset.range(len(records.paths))
        .flat_map(shard_reader(records, cache))
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )


def finish_dataset(batches: tf.data.Dataset, num_batches: int) -> tf.data.Dataset:
    """Returns the dataset with a known length, prefetching, and without automatic sharding."""
    if num_batches != tf.data.UNKNOWN_CARDINALITY:
        batches = batches.apply(tf.data.experimental.assert_cardinality(num_batches))
    options = tf.data.Options()
    # `worker` decides who reads what; devices of one process split each batch among them.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)
