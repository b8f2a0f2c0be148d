"""The training step with PyTorch: Keras's own, on one device."""

from __future__ import annotations

import contextlib
from typing import Any

import keras
import torch


class TorchStep(keras.Model):
    """Keras's training step."""

    network: Any

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """In which variables are made."""
        return contextlib.nullcontext()

    def run_in_training(self, clips: Any) -> None:
        """Runs the network as in training, for its batch statistics alone."""
        with torch.no_grad():
            self.network(clips, training=True)
