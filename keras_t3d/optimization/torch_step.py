"""The training step on PyTorch: that of Keras, on one device."""

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
        """Context in which variables are made."""
        return contextlib.nullcontext()

    def over_devices(self, values: Sequence[Any]) -> tuple[list[Any], Any]:
        """Returns the values unchanged, and 0: there is one device."""
        return list(values), 0

    def run_in_training(self, clips: Any) -> None:
        """Runs the network in training mode, to update batch norm statistics only."""
        with torch.no_grad():
            self.network(clips, training=True)
