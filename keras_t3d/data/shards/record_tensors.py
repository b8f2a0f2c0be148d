"""Reads records in TensorFlow, for tf.data pipelines."""

from __future__ import annotations

import tensorflow as tf

from keras_t3d.clips.tensorflow_frame_rate import even_times_tensorflow
from keras_t3d.data.shards.record import (
    FPS,
    FRAMES,
    HEIGHT,
    LABEL_INDEX,
    LABEL_TEXT,
    ONE_LABEL,
    TIMES,
    VIDEO_ID,
    WIDTH,
)


def parse_record(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Reads a record in a graph; frames stay encoded.

    Records of other writers (DMVR, TF Model Garden) may lack everything but frames and class id;
    other features are ignored.

    Args:
        serialized: string scalar, a `tf.train.SequenceExample`.

    Returns:
        Dict by feature name: `"image/encoded"`, strings (frames,), `"image/timestamp"`, int64
            (frames,), empty if unknown, and scalars with
        the defaults of `stored_video` for missing features: class id -1, empty name and id,
        fps 0.0; height and width of the first JPEG.

    Raises:
        tf.errors.InvalidArgumentError: when run, if the record holds no frames or several labels.

    Example:

    ```python
    videos = tf.data.TFRecordDataset("train-00000-of-00001.tfrecord").map(parse_record)
    ```
    """
    optional = {
        LABEL_INDEX: tf.constant(-1, tf.int64),
        LABEL_TEXT: tf.constant(""),
        VIDEO_ID: tf.constant(""),
        HEIGHT: tf.constant(0, tf.int64),
        WIDTH: tf.constant(0, tf.int64),
        FPS: tf.constant(0.0),
    }
    # Ragged: a writer may store a feature without a value, and FixedLenFeature fails there.
    context, sequence = tf.io.parse_single_sequence_example(
        serialized,
        context_features={
            name: tf.io.RaggedFeature(default.dtype) for name, default in optional.items()
        },
        sequence_features={
            FRAMES: tf.io.RaggedFeature(tf.string),
            TIMES: tf.io.RaggedFeature(tf.int64),
        },
    )
    frames = sequence[FRAMES].flat_values
    held = tf.debugging.Assert(
        tf.size(frames) > 0, [f"A record must hold JPEG frames in the feature list {FRAMES!r}."]
    )
    labels = context[LABEL_INDEX]
    one_label = tf.debugging.Assert(
        tf.size(labels) <= 1, [f"{ONE_LABEL}. Received the labels", labels, "of", context[VIDEO_ID]]
    )
    with tf.control_dependencies([held, one_label]):
        frames = tf.identity(frames)
    record = {
        name: tf.concat([context[name], default[None]], 0)[0] for name, default in optional.items()
    }
    height, width = tf.cond(
        tf.logical_and(record[HEIGHT] > 0, record[WIDTH] > 0),
        lambda: (record[HEIGHT], record[WIDTH]),
        lambda: _frame_size(frames[0]),
    )
    times, fps = sequence[TIMES].flat_values, record[FPS]
    times = tf.case(
        [
            (tf.size(times) == tf.size(frames), lambda: times),
            (fps > 0, lambda: even_times_tensorflow(tf.size(frames), fps)),
        ],
        default=lambda: tf.zeros(0, tf.int64),
    )
    return {**record, HEIGHT: height, WIDTH: width, FRAMES: frames, TIMES: times}


def _frame_size(frame: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    shape = tf.cast(tf.io.extract_jpeg_shape(frame), tf.int64)
    return shape[0], shape[1]
