"""What the outputs of a classifier are: logits, probabilities, or a score per label.

Softmax and sigmoid may be layers, activations or functions, in nested models, averaged or scaled.
So the end of the network, what follows its last dense or convolutional layers, is not read but run
on random values of these layers, and its results tell what it computes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

import keras
import numpy as np

from keras_t3d.errors import InvalidArgumentError
from keras_t3d.layers import ClipConv3D
from keras_t3d.private_interfaces import is_functional, run_through_graph

OutputsAre = Literal["logits", "probabilities", "scores"]

# Layers that return any real numbers, to which they apply their activation.
_LINEAR = (
    ClipConv3D,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.Dense,
    keras.layers.EinsumDense,
)
_WRAPPERS = (keras.layers.SpectralNormalization, keras.layers.TimeDistributed)
_SAMPLES = 16
_SPREAD = 3.0  # standard deviation of the random values
_TOLERANCE = 0.03  # of sums of bfloat16 values, and of probabilities clipped above 0


def find_outputs(model: keras.Model) -> OutputsAre | None:
    """Finds what the outputs of a functional classifier are.

    Returns:
        `"logits"` if the softmax of the outputs is over the classes still to come (logarithms of
        probabilities are logits too); `"probabilities"` if each row is positive and sums to 1;
        `"scores"` if each value is between 0 and 1, independent of their sum, as of a sigmoid;
        None if it cannot be told, as with a layer of the user's own that has weights.
    """
    end = _End(model)
    try:
        plain, opposite, double, zero = (end.outputs(scale) for scale in (1.0, -1.0, 2.0, 0.0))
    except Exception:  # a layer of the user's own that does not run on samples
        return None
    if plain.ndim != 2:
        return None
    if are_distributions(plain) and are_distributions(double):
        return "probabilities"
    if np.ptp(plain) > 0 and plain.min() >= 0 and plain.max() <= 1 + _TOLERANCE:
        return "scores"
    margin = _TOLERANCE * max(np.abs(double).max(), 1.0)
    is_affine = (
        np.abs(plain + opposite - 2 * zero).max() <= margin
        and np.abs(double - 2 * plain + zero).max() <= margin
        and np.ptp(plain) > 0
    )
    is_logarithm = are_distributions(np.exp(np.minimum(plain, 1.0)))
    if is_logarithm or (is_affine and not end.has_unknown_values):
        return "logits"
    return None


def are_distributions(rows: np.ndarray) -> bool:
    """Returns whether each row is positive and sums to 1, but for rounding and clipping."""
    return bool(rows.min() >= 0 and np.abs(rows.sum(axis=1) - 1).max() <= _TOLERANCE)


def check_outputs_are(model: keras.Model, declared: Any) -> None:
    """Raises InvalidArgumentError if the outputs of a model are not what the user declares."""
    kinds = get_args(OutputsAre)
    if declared not in kinds:
        raise InvalidArgumentError(
            f"`outputs_are` must be one of {kinds}, or None to find out. Received: {declared!r}",
            argument="outputs_are",
        )
    found = find_outputs(model)
    # Only its loss tells logits of several labels from those of one class.
    if found in (None, declared) or (found, declared) == ("logits", "scores"):
        return
    raise InvalidArgumentError(
        f"`outputs_are` must be {found!r} or None: the network ends in {_ENDINGS[found]}. "
        f"Received: {declared!r}",
        argument="outputs_are",
    )


def check_one_class_of_many(
    name: str, num_classes: int, outputs_are: OutputsAre | None
) -> OutputsAre:
    """Raises InvalidArgumentError unless outputs give one class of many its probability.

    Args:
        name: name of the model.
        num_classes: number of its outputs; 0 if they are features.
        outputs_are: what they are; None if that is not known.

    Returns:
        `outputs_are`, `"logits"` or `"probabilities"`.
    """
    if num_classes == 0:
        raise InvalidArgumentError(
            "`model` must have classes: train one that starts from it, with `keras-t3d train "
            f"--init student.keras`. Received: {name!r}, which returns features",
            argument="model",
        )
    received = None
    if num_classes == 1:
        received = "returns a single score"
    elif outputs_are == "scores":
        received = "returns scores of labels that do not exclude each other, as of a sigmoid"
    elif outputs_are is None:
        received = (
            "does not tell in its last layers what it returns: declare it, with "
            "`model.outputs_are = 'logits'` or 'probabilities'"
        )
    if received or outputs_are is None:
        raise InvalidArgumentError(
            "`model` must return logits or probabilities of one class of two or more, for example "
            f"those of keras.layers.Dense(2). Received: {name!r}, which {received}",
            argument="model",
        )
    return outputs_are


_ENDINGS = {
    "logits": "a linear layer",
    "probabilities": "values that sum to 1, as of a softmax",
    "scores": "values between 0 and 1 that do not sum to 1, as of a sigmoid",
}


class _End:
    """The end of a network as a function of the values of its last linear layers.

    Attributes:
        has_unknown_values: whether the end reads other layers with weights than linear ones, or
            the input, whose values need not be those that are drawn.
    """

    def __init__(self, model: keras.Model) -> None:
        self._model = model
        self.has_unknown_values = False

    def outputs(self, scale: float) -> np.ndarray:
        """Returns outputs, float64 (samples, classes), for values of this scale."""
        self._random, self._scale = np.random.default_rng(0), scale
        inputs = [_Later(functools.partial(self._unknown, x)) for x in self._model.inputs]
        outputs = run_through_graph(self._model, inputs, self._postponed)
        (last,) = keras.tree.flatten(outputs)
        values = keras.ops.cast(last.value(), "float32")
        return np.asarray(keras.ops.convert_to_numpy(values), np.float64)

    def _postponed(self, operation: Any) -> Callable[..., Any]:
        """Returns an operation that computes nothing until the value of its result is read."""
        if is_functional(operation):
            return lambda *inputs, **options: run_through_graph(
                operation, inputs or options["inputs"], self._postponed
            )
        if type(operation) is keras.Sequential:
            return lambda *inputs, **options: functools.reduce(
                lambda x, layer: self._postponed(layer)(x),
                operation.layers,
                *(inputs or [options["inputs"]]),
            )
        return functools.partial(self._later, operation)

    def _later(self, operation: Any, *arguments: Any, **options: Any) -> Any:
        results = _Later(lambda: self._run(operation, arguments, options))
        count = len(keras.tree.flatten(operation.output))
        if count == 1:
            return results
        return [_Later(functools.partial(results.part, index)) for index in range(count)]

    def _run(self, operation: Any, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
        if getattr(operation, "weights", None):
            layer = operation.layer if isinstance(operation, _WRAPPERS) else operation
            if any(isinstance(layer, kind) and type(layer).call is kind.call for kind in _LINEAR):
                activation = getattr(layer, "activation", None) or keras.activations.linear
                return activation(self._draw(operation.output))
            # The features of a backbone: from here on, the network is not run.
            if len(keras.tree.flatten(operation.output)[0].shape) > 2:
                return self._unknown(operation.output)
            if not type(operation).__module__.startswith(("keras.", "keras_t3d.")):
                self.has_unknown_values = True
        if isinstance(operation, keras.Layer):
            options = {"training": False, **options}
        values = keras.tree.map_structure(_value, (tuple(arguments), options))
        with keras.StatelessScope(state_mapping=_without_zeros(operation)):
            return operation(*values[0], **values[1])

    def _unknown(self, like: Any) -> Any:
        self.has_unknown_values = True
        return keras.tree.map_structure(self._draw, like)

    def _draw(self, like: Any) -> Any:
        shape = [_SAMPLES, *(size or 1 for size in like.shape[1:])]
        values = self._scale * _SPREAD * self._random.normal(size=shape)
        return keras.ops.cast(keras.ops.convert_to_tensor(values, "float32"), like.dtype)


def _without_zeros(operation: Any) -> list[tuple[Any, Any]]:
    """Returns random values for the weights that are zero, which would hide what a layer computes.

    Such as the kernel of a fresh head, or the scale of a fresh batch normalization.
    """
    random, drawn = np.random.default_rng(1), []
    for weight in getattr(operation, "weights", None) or ():
        if "float" in str(weight.dtype) and not np.any(keras.ops.convert_to_numpy(weight)):
            values = random.normal(size=weight.shape)
            drawn.append((weight, keras.ops.convert_to_tensor(values, weight.dtype)))
    return drawn


class _Later:
    """A value that is computed when it is first read."""

    def __init__(self, compute: Callable[[], Any]) -> None:
        self.value = functools.cache(compute)

    def part(self, index: int) -> Any:
        """Returns one of several tensors."""
        return keras.tree.flatten(self.value())[index]


def _value(argument: Any) -> Any:
    return argument.value() if isinstance(argument, _Later) else argument


def only_one(name: str, tensors: Any) -> Any:
    """Returns the tensor of an argument, which may be a nest of one."""
    flat = keras.tree.flatten(tensors)
    if len(flat) != 1:
        raise InvalidArgumentError(
            f"`{name}` must be one tensor, as a VideoClassifier reads clips and returns one output "
            f"per clip. Received: {len(flat)} tensors, {tensors!r}",
            argument=name,
        )
    return flat[0]
