"""Opens a version of an exported SavedModel."""

from __future__ import annotations

import gc
import pathlib
from typing import Any

import tensorflow as tf


def open_saved_model(version: pathlib.Path) -> Any:
    """Returns what a version holds, which keeps the variables of its signatures alive."""
    # What TensorFlow loads refers to itself: the weights of earlier ones wait for this.
    gc.collect()
    return tf.saved_model.load(str(version))
