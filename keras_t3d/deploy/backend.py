"""Which backend of Keras an export runs under."""

from __future__ import annotations

import keras


def check_backend() -> None:
    """Raises ValueError under another backend than TensorFlow, whose converters exports go by."""
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            "An export runs under Keras's TensorFlow backend: save the model, set "
            "KERAS_BACKEND=tensorflow, load it there and export it. "
            f"Received: the {keras.backend.backend()} backend"
        )
