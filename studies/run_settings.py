"""A run's configuration by dotted keys, as the results pages tell it."""

from __future__ import annotations

from typing import Any


def flat_config(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Dotted keys; `model.options`, whose keys are the network's, stays whole."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, dict) and key != "model.options":
            flat |= flat_config(value, f"{key}.")
        else:
            flat[key] = value
    return flat


def plain_value(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # as YAML has it
