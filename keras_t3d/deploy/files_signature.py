"""The signature `files`: text files of a model, as TF Serving serves none of its directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from keras_t3d.deploy.request_checks import checked_names


def files_signature(texts: Mapping[str, str]) -> Any:
    """Returns the function from `names` to `contents`, strings (n,).

    Args:
        texts: the contents by name.
    """

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="names")])
    def files(names: tf.Tensor) -> dict[str, tf.Tensor]:
        names = checked_names(names)
        matches = tf.equal(names[:, None], tf.constant(list(texts)))
        known = tf.debugging.Assert(
            tf.reduce_all(tf.reduce_any(matches, axis=1)),
            [f"files: the model has the files {', '.join(texts)}. Received: another name"],
        )
        with tf.control_dependencies([known]):
            places = tf.argmax(tf.cast(matches, tf.int32), axis=1)
            return {"contents": tf.gather(list(texts.values()), places)}

    return files
