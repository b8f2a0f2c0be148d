"""Describes the machine of a training run: processor, Keras's backend and accelerators."""

from __future__ import annotations

from typing import Any

import turns


def keras_machine() -> dict[str, Any]:
    """Returns `turns.machine()` with Keras's backend, its version, and the accelerators."""
    import importlib.metadata

    import keras

    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        accelerators = [d.device_kind for d in jax.devices() if d.platform != "cpu"]
    else:
        import tensorflow as tf

        accelerators = [
            tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)
            for gpu in tf.config.list_physical_devices("GPU")
        ]
    return turns.machine() | {
        "backend": backend,
        "backend_version": importlib.metadata.version(backend),
        "accelerators": accelerators,
    }


def hardware(machine: dict[str, Any], size: str) -> str:
    """Returns the result of `keras_machine` as text for the results page."""
    devices = f", {', '.join(machine['accelerators'])}" if machine["accelerators"] else ", no GPU"
    return (
        f"{size}: {machine['cores']} cores of {machine['cpu']}{devices}, keras "
        f"{machine['keras']} on {machine['backend']} {machine['backend_version']}"
    )
