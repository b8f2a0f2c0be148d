"""Imports TensorFlow quietly."""

from __future__ import annotations

import os


def import_tensorflow() -> None:
    """Imports TensorFlow without its start-up messages, which none of its settings silences."""
    standard_error = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        import tensorflow  # noqa: F401
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
