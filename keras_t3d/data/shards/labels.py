"""Checks that shards have labels, and that the label of a record matches the class names.

A record without a class name is identified by its class id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_t3d.data.shards.errors import ShardError
from keras_t3d.data.shards.record import StoredVideo
from keras_t3d.data.shards.shard_set import ShardSet

if TYPE_CHECKING:
    import tensorflow as tf

LABEL_MISMATCH = "label is not on its line"


def check_labelled(shards: ShardSet) -> None:
    """Raises a ShardError if the shards have no classes, like those of unlabelled videos."""
    if not shards.class_names:
        remedy = (
            "convert labelled videos, for example with `layout` 'folder'"
            if shards.has_manifest
            else "set `class_names` of ShardSet.of_files"
        )
        raise ShardError(
            "These shards have no labels: they are for pre-training (`keras-t3d pretrain`, "
            f"`labelled` False). To train or evaluate a classifier {remedy}. "
            f"Received: {shards.folder}"
        )


def label_mismatch(shards: ShardSet) -> str:
    """Returns the message for a record whose label does not match labels.txt."""
    return (
        f"A record's {LABEL_MISMATCH} of {shards.labels}, with ids from 0 to "
        f"{len(shards.class_names) - 1}. Restore the names that the records were written with, or "
        "convert the videos again."
    )


def check_label(shards: ShardSet, video: StoredVideo, path: str) -> None:
    """Raises a ShardError if the label of a record in the shard `path` contradicts labels.txt."""
    names = shards.class_names
    known = 0 <= video.label_index < len(names)
    if not known or video.label not in ("", names[video.label_index]):
        raise ShardError(
            f"{label_mismatch(shards)} Received: {video.label_index} ({video.label!r}) for "
            f"{video.video_id!r} in {path}"
        )


def is_label_tensorflow(shards: ShardSet, index: tf.Tensor, text: tf.Tensor) -> tf.Tensor:
    """Returns whether a label matches labels.txt, in a graph.

    Args:
        shards: what the record is read from.
        index: int64 scalar, the class id of the record.
        text: string scalar, the class name of the record.

    Returns:
        bool scalar.
    """
    import tensorflow as tf

    names = tf.constant(list(shards.class_names))
    known = tf.logical_and(index >= 0, index < len(shards.class_names))
    name = names[tf.where(known, index, 0)]
    return tf.logical_and(known, tf.logical_or(tf.equal(name, text), tf.equal(text, "")))
