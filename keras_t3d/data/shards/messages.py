"""The protocol buffers of a record, as TensorFlow defines them, without TensorFlow.

Reference:
    https://github.com/tensorflow/tensorflow/blob/master/tensorflow/core/example/example.proto
"""

from __future__ import annotations

from typing import Any

from keras_t3d.protocol_buffers import build_message_classes

SequenceExample: Any = build_message_classes(
    "keras_t3d",
    {
        "BytesList": [(1, "value", "repeated bytes")],
        "FloatList": [(1, "value", "repeated float")],
        "Int64List": [(1, "value", "repeated int64")],
        "Feature": [
            (1, "bytes_list", "oneof BytesList"),
            (2, "float_list", "oneof FloatList"),
            (3, "int64_list", "oneof Int64List"),
        ],
        "Features": [(1, "feature", "map Feature")],
        "FeatureList": [(1, "feature", "repeated Feature")],
        "FeatureLists": [(1, "feature_list", "map FeatureList")],
        "SequenceExample": [(1, "context", "Features"), (2, "feature_lists", "FeatureLists")],
    },
)["SequenceExample"]
