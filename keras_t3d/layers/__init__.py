"""Keras layers of the video networks; one file each."""

import keras as _keras  # noqa: F401  (first, so that registration.py runs before our modules)

from keras_t3d.layers.clip_normalization import ClipNormalization
from keras_t3d.layers.temporal_transition import TemporalTransition

__all__ = ["ClipNormalization", "TemporalTransition"]
