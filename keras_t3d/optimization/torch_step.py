"""The training step with PyTorch: Keras's own, on one device."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import keras
import torch


class TorchStep(keras.Model):
    """Keras's training step."""

    network: Any

    def scope(self) -> contextlib.AbstractContextManager[Any]:
        """In which variables are made."""
        return contextlib.nullcontext()

    def over_devices(self, values: Sequence[Any]) -> tuple[list[Any], Any]:
        """Returns the values as they are, and 0: there is one device."""
        return list(values), 0

    def run_in_training(self, clips: Any) -> None:
        """Runs the network as in training, for its batch statistics alone."""
        with torch.no_grad():
            self.network(clips, training=True)
