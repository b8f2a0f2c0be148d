"""Names the shard that a failed read came from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import tensorflow as tf

from keras_t3d.data.shards.shard_set import ShardSet


@contextlib.contextmanager
def damage_named(shards: ShardSet) -> Iterator[None]:
    """Turns TensorFlow's read errors, which name no file, into ones that do.

    Args:
        shards: ShardSet that the block reads.

    Raises:
        ValueError: if the block failed to read, and a shard's checksum is not the
            manifest's, or its labels are not those of labels.txt.
    """
    try:
        yield
    except (tf.errors.DataLossError, tf.errors.InvalidArgumentError) as error:
        for line in str(error).splitlines():
            if LABEL_MISMATCH in line:
                raise ValueError(label_mismatch(shards)) from None
        damaged = shards.damaged_shards()
        if not damaged:
            raise
        raise ValueError(
            f"Damaged shard: {', '.join(damaged)}. Restore the file, or convert the videos again "
            "into a new folder."
        ) from None


LABEL_MISMATCH = "label is not on its line"


def label_mismatch(shards: ShardSet) -> str:
    """Returns what to say where a record's label is not the one of labels.txt."""
    return (
        f"A record's {LABEL_MISMATCH} of {shards.folder / 'labels.txt'}. Restore the file that "
        "`keras-t3d convert` wrote, or convert the videos again."
    )
