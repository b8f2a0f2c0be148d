"""The records of a split as tf.data datasets, and what all pipelines check and share."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from keras_t3d.data.clips.source_videos import record_key
from keras_t3d.data.shards import record as fields
from keras_t3d.data.shards.damage import SplitRecords
from keras_t3d.data.shards.labels import is_label_tensorflow, label_mismatch
from keras_t3d.data.shards.record_file import read_record
from keras_t3d.data.shards.record_tensors import parse_record
from keras_t3d.data.shards.shard_cache import ShardCache
from keras_t3d.data.shards.shard_set import ShardSet

Record = dict[str, tf.Tensor]
ReadShard = Callable[[tf.Tensor], tf.data.Dataset]


def shard_reader(records: SplitRecords, cache: bool | str | os.PathLike[str] = False) -> ReadShard:
    """Returns the function from a shard's number (int64) to its serialized records.

    Each shard is read from its beginning to its end.
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
    parse: Callable[[tf.Tensor], Record],
    cache: bool | str | os.PathLike[str] = False,
) -> tf.data.Dataset:
    """The parsed records of a split, in the order of the shards."""
    return (
        tf.data.Dataset.range(len(records.paths))
        .flat_map(shard_reader(records, cache))
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
    )


def checked_record(shards: ShardSet) -> Callable[[tf.Tensor], Record]:
    """Returns `parse_record`, refusing a label that labels.txt does not have at its id."""
    message = label_mismatch(shards)

    def parse(serialized: tf.Tensor) -> Record:
        record = parse_record(serialized)
        right = is_label_tensorflow(shards, record[fields.LABEL_INDEX], record[fields.LABEL_TEXT])
        with tf.control_dependencies([tf.debugging.Assert(right, [message])]):
            return {key: tf.identity(value) for key, value in record.items()}

    return parse


def record_key_tensorflow(record: Record) -> tf.Tensor:
    """The TensorFlow form of `record_key`: a string scalar."""
    video_id = record[fields.VIDEO_ID]

    def of_first_frame() -> tf.Tensor:
        key = tf.numpy_function(
            lambda frame: record_key("", frame).encode(), [record[fields.FRAMES][0]], tf.string
        )
        return tf.ensure_shape(key, ())

    return tf.cond(tf.equal(video_id, ""), of_first_frame, lambda: video_id)


def finished(batches: tf.data.Dataset, num_batches: int) -> tf.data.Dataset:
    """The dataset as it is handed out: its length known, read ahead, not resharded."""
    if num_batches != tf.data.UNKNOWN_CARDINALITY:
        batches = batches.apply(tf.data.experimental.assert_cardinality(num_batches))
    options = tf.data.Options()
    # `worker` says who reads what; devices of one process split each batch among them.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    return batches.prefetch(tf.data.AUTOTUNE).with_options(options)
