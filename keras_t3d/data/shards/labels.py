"""Whether shards have labels, and a record's is the one that the class names have at its id.

A record without a name of its class is taken by its id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keras_t3d.data.shards.record import StoredVideo
from keras_t3d.data.shards.shard_set import ShardSet
from keras_t3d.errors import InvalidArgumentError

if TYPE_CHECKING:
    import tensorflow as tf

LABEL_MISMATCH = "label is not on its line"


def check_labelled(shards: ShardSet) -> None:
    """Raises a ValueError where the shards have no classes, as of unlabelled videos."""
    if not shards.class_names:
        remedy = (
            "convert labelled videos, for example with --layout folder"
            if shards.has_manifest
            else "name the classes to ShardSet.of_files"
        )
        raise InvalidArgumentError(
            "These shards have no labels: they are for pre-training (`keras-t3d pretrain`, "
            f"`labelled` False). To train or evaluate a classifier {remedy}. "
            f"Received: {shards.folder}"
        )


def label_mismatch(shards: ShardSet) -> str:
    """Returns what to say where a record's label is not the one of labels.txt."""
    return (
        f"A record's {LABEL_MISMATCH} of {shards.labels}, with ids from 0 to "
        f"{len(shards.class_names) - 1}. Restore the names that the records were written with, or "
        "convert the videos again."
    )


def check_label(shards: ShardSet, video: StoredVideo, path: str) -> None:
    """Raises a ValueError where a record's label is not the one of labels.txt.

    Args:
        shards: ShardSet.
        video: StoredVideo. One of its records.
        path: str. The record's shard, for the error.
    """
    names = shards.class_names
    known = 0 <= video.label_index < len(names)
    if not known or video.label not in ("", names[video.label_index]):
        raise InvalidArgumentError(
            f"{label_mismatch(shards)} Received: {video.label_index} ({video.label!r}) for "
            f"{video.video_id!r} in {path}"
        )


def is_label_tensorflow(shards: ShardSet, index: tf.Tensor, text: tf.Tensor) -> tf.Tensor:
    """Whether a label is the one of labels.txt, in a graph.

    Args:
        shards: ShardSet.
        index: int64 scalar. The record's class id.
        text: string scalar. The record's class name.

    Returns:
        bool scalar.
    """
    import tensorflow as tf

    names = tf.constant(list(shards.class_names))
    known = tf.logical_and(index >= 0, index < len(shards.class_names))
    name = names[tf.where(known, index, 0)]
    return tf.logical_and(known, tf.logical_or(tf.equal(name, text), tf.equal(text, "")))
