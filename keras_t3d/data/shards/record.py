"""The record of one video: a SequenceExample in the layout of DMVR and the TF Model Garden."""

from __future__ import annotations

import tensorflow as tf

from keras_t3d.data.encode import EncodedVideo

FRAMES = "image/encoded"
LABEL_INDEX = "clip/label/index"
LABEL_TEXT = "clip/label/text"
VIDEO_ID = "clip/id"
HEIGHT = "image/height"
WIDTH = "image/width"
FPS = "video/fps"


def make_record(video: EncodedVideo, video_id: str, label: str, label_index: int) -> bytes:
    """Returns the serialized record of an encoded video."""
    context = {
        LABEL_INDEX: _ints(label_index),
        LABEL_TEXT: _bytes(label.encode("utf-8")),
        VIDEO_ID: _bytes(video_id.encode("utf-8", "surrogateescape")),
        HEIGHT: _ints(video.height),
        WIDTH: _ints(video.width),
        FPS: tf.train.Feature(float_list=tf.train.FloatList(value=[video.fps])),
    }
    frames = tf.train.FeatureList(feature=[_bytes(frame) for frame in video.frames])
    example = tf.train.SequenceExample(
        context=tf.train.Features(feature=context),
        feature_lists=tf.train.FeatureLists(feature_list={FRAMES: frames}),
    )
    return example.SerializeToString(deterministic=True)


def parse_record(serialized: tf.Tensor) -> dict[str, tf.Tensor]:
    """Reads a record inside a tf.data pipeline; frames stay encoded.

    Returns:
        Dict of scalars by feature name, and `"image/encoded"`: strings (frames,).
    """
    context, sequence = tf.io.parse_single_sequence_example(
        serialized,
        context_features={
            LABEL_INDEX: tf.io.FixedLenFeature([], tf.int64),
            LABEL_TEXT: tf.io.FixedLenFeature([], tf.string),
            VIDEO_ID: tf.io.FixedLenFeature([], tf.string),
            HEIGHT: tf.io.FixedLenFeature([], tf.int64),
            WIDTH: tf.io.FixedLenFeature([], tf.int64),
        },
        sequence_features={FRAMES: tf.io.FixedLenSequenceFeature([], tf.string)},
    )
    return {**context, **sequence}


def _ints(value: int) -> tf.train.Feature:
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))


def _bytes(value: bytes) -> tf.train.Feature:
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
