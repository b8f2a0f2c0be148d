"""The default loss, and the check that a loss reads what a classifier returns."""

from __future__ import annotations

import inspect
from typing import Any

import keras

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.outputs import OutputsAre, find_outputs
from keras_t3d.optimization.cross_entropy import CrossEntropy

# Losses that read probabilities and have no option `from_logits`.
_PROBABILITIES_ONLY = (
    "CategoricalGeneralizedCrossEntropy",
    "KLDivergence",
    "categorical_generalized_cross_entropy",
    "kl_divergence",
)


def default_loss(name: str, outputs_are: OutputsAre | None) -> keras.losses.Loss:
    """Returns the cross-entropy of a classifier.

    Args:
        name: name of the model.
        outputs_are: what its outputs are, see `VideoClassifier`.

    Raises:
        InvalidArgumentError: if they are not logits or probabilities of one class of many.
    """
    if outputs_are not in ("logits", "probabilities"):
        raise InvalidArgumentError(
            "`loss` must be given unless the outputs are logits or probabilities of one class of "
            "many: for several labels, for example, keras.losses.BinaryCrossentropy(); for a layer "
            "of your own, set model.outputs_are = 'logits' first. Received: 'auto' for "
            f"{name!r}, whose outputs are {outputs_are or 'unknown'}",
            argument="loss",
        )
    return CrossEntropy(from_logits=outputs_are == "logits")


def check_loss(
    loss: Any,
    found: OutputsAre | None,
    declared: OutputsAre | None = None,
    has_default: bool = True,
) -> None:
    """Raises InvalidArgumentError if a loss would misread the outputs of a classifier.

    Args:
        loss: as for `keras.Model.compile`: a name, function, Loss, or a nest of these.
        found: what the network computes, see `find_outputs`.
        declared: what the user declares. If neither tells, every loss is accepted; logits of
            several labels are declared as `"scores"`.
        has_default: whether the loss may be left out.
    """
    returned = found or (None if declared == "scores" else declared)
    is_one_of_many = "scores" not in (returned, declared)
    for part in keras.tree.flatten(loss):
        if part is None or returned is None:
            continue
        kind = _class_name(part)
        is_binary, reads_logits = kind.startswith("Binary"), _reads_logits(part)
        if returned == "logits" and is_binary and declared is None:
            raise InvalidArgumentError(
                "`loss` must read one class of many, unless the model declares its outputs: for "
                "several labels or a single score, set model.outputs_are = 'scores' first, and "
                f"pass loss=keras.losses.{kind}(from_logits=True). Received: {part!r}",
                argument="loss",
            )
        if reads_logits is None or reads_logits == (returned == "logits"):
            continue
        known = hasattr(keras.losses, kind) and kind not in _PROBABILITIES_ONLY
        general = "SparseCategoricalCrossentropy" if is_one_of_many else "BinaryCrossentropy"
        right = kind if known and (is_one_of_many or is_binary) else general
        may_leave_out = is_one_of_many and has_default
        read = "logits" if reads_logits else "probabilities"
        raise InvalidArgumentError(
            f"`loss` must read {returned}, which this model returns, not {read}: "
            f"{'leave `loss` out, or ' if may_leave_out else ''}pass loss=keras.losses.{right}"
            f"({'from_logits=True' if returned == 'logits' else ''}). Received: {part!r}",
            argument="loss",
        )


def check_loss_of_classifier(loss: Any, network: keras.Model) -> None:
    """Raises InvalidArgumentError if a loss would misread a network, if this is a classifier."""
    if getattr(network, "class_names", ()):
        check_loss(loss, find_outputs(network), network.declared_outputs, has_default=False)


def _reads_logits(loss: Any) -> bool | None:
    """Returns whether a loss reads logits (True) or probabilities (False); None for others."""
    if isinstance(loss, str):
        if loss.lower() in ("crossentropy", "ce"):
            return False
        loss = keras.losses.get(loss)
    if getattr(loss, "__name__", type(loss).__name__) in _PROBABILITIES_ONLY:
        return False
    if isinstance(loss, keras.losses.Loss):
        is_known = type(loss).__module__.startswith(("keras.", "keras_t3d."))
        return loss.get_config().get("from_logits") if is_known else None
    is_keras = getattr(loss, "__module__", "").startswith("keras.")
    return False if is_keras and "from_logits" in inspect.signature(loss).parameters else None


def _class_name(loss: Any) -> str:
    """Returns the name of the class of a loss, which may be given as a name or function."""
    loss = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    return "".join(part[:1].upper() + part[1:] for part in loss.split("_"))
