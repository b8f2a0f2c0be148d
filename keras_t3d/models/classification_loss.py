"""Check that a loss reads logits, as `VideoClassifier` returns them."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError

# Losses that read probabilities and have no option `from_logits`.
_PROBABILITIES_ONLY = ("kl_divergence", "KLDivergence")


def check_loss_reads_logits(loss: Any) -> None:
    """Raises InvalidArgumentError if a loss would read logits as probabilities.

    Args:
        loss: as for `keras.Model.compile`: a name, function, Loss, or a nest of these.
    """
    for part in keras.tree.flatten(loss):
        if part is not None and _reads_probabilities(part):
            kind = _class_name(part)
            right = (
                f"keras.losses.{kind}(from_logits=True)"
                if hasattr(keras.losses, kind) and kind not in _PROBABILITIES_ONLY
                else "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
            )
            raise InvalidArgumentError(
                "`loss` must read logits, which this model returns, not probabilities: leave "
                f"`loss` out, or pass loss={right}. Received: {part!r}",
                argument="loss",
            )


def _reads_probabilities(loss: Any) -> bool:
    if isinstance(loss, str):
        if loss.lower() in ("crossentropy", "ce"):
            return True
        loss = keras.losses.get(loss)
    if getattr(loss, "__name__", type(loss).__name__) in _PROBABILITIES_ONLY:
        return True
    if isinstance(loss, keras.losses.Loss):
        is_keras = type(loss).__module__.startswith("keras.")
        return is_keras and loss.get_config().get("from_logits") is False
    is_keras = getattr(loss, "__module__", "").startswith("keras.")
    return is_keras and "from_logits" in inspect.signature(loss).parameters


def _class_name(loss: Any) -> str:
    """Returns the name of the class of a loss, which may be given as a name or function."""
    loss = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return "".join(part[:1].upper() + part[1:] for part in loss.split("_"))
