"""Turns TensorFlow's graph optimizer off: it takes a fifth of the time of a short training."""

from __future__ import annotations

import sys
from typing import Literal


def turn(state: Literal["on", "off"]) -> None:
    """Turns Grappler on or off for functions that run from now on; does not import TensorFlow."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None:
        options = {"disable_meta_optimizer": state == "off"}
        tensorflow.config.optimizer.set_experimental_options(options)
