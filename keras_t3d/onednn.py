"""Turns on oneDNN, which TensorFlow leaves off on processors without VNNI instructions."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from keras_t3d.errors import KerasT3DWarning

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"
_PROCESSOR = Path("/proc/cpuinfo")


def turn_on_onednn() -> None:
    """Turns oneDNN on for TensorFlow, unless the environment variable says otherwise.

    Warns:
        KerasT3DWarning: if it is off, and TensorFlow was imported too early to turn it on.
    """
    if VARIABLE in os.environ:
        return
    os.environ[VARIABLE] = "1"
    if "tensorflow" in sys.modules and _lacks_vnni():
        warnings.warn(
            "TensorFlow was imported before keras_t3d and uses no oneDNN on this processor: "
            "training takes about four times as long. Import keras_t3d first, or set the "
            f"environment variable {VARIABLE}=1; 0 keeps it off without this warning.",
            KerasT3DWarning,
            stacklevel=3,
        )


def _lacks_vnni() -> bool:
    """Returns whether this is an x86 processor without VNNI, as far as Linux tells."""
    try:
        lines = _PROCESSOR.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), None)
    return flags is not None and "vnni" not in flags
