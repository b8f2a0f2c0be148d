"""The training step where Keras's own will do: PyTorch, one device."""

from __future__ import annotations

from typing import Any

import keras


class PlainStep(keras.Model):
    """Keras's training step."""

    network: Any

    def run_in_training(self, clips: Any) -> None:
        """Runs the network as in training, for its batch statistics alone."""
        self.network(clips, training=True)
