"""Keras optimizers with rates and decay by variable, and clipping over all devices."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import keras
import numpy as np

from keras_t3d.errors import InvalidArgumentError, did_you_mean
from keras_t3d.private_interfaces import averaged_weights

Rate: TypeAlias = float | Any  # or a keras LearningRateSchedule


def make_optimizer(
    name: str,
    learning_rate: Rate,
    *,
    l2: float = 0.0,
    decays: Callable[[Any], bool] | None = None,
    rate_of: Callable[[Any], float] | None = None,
    **options: Any,
) -> keras.optimizers.Optimizer:
    """Makes a Keras optimizer that trains the same on one device and on many.

    It differs from the Keras optimizer of that name:

    - gradients are clipped after they are summed over devices, not on each device;
    - `l2` adds `l2 * weight` to the gradient: the "weight decay" of the papers and of PyTorch's
      SGD, which passes through the momentum. `weight_decay` is Keras's, decoupled: it subtracts
      `learning_rate * weight_decay * weight` from the weight, with momentum 0.9 a tenth as much
      for the same value;
    - learning rates by variable;
    - with `use_ema`, the end of `fit` does not overwrite the weights: see `average_of_weights`.

    Args:
        name: a class of `keras.optimizers`, in any case: `"SGD"`, `"adamw"`, ...
        learning_rate: learning rate, a float or a `LearningRateSchedule`.
        l2: factor of the L2 penalty.
        decays: returns whether `l2` and `weight_decay` apply to a variable; None is all.
        rate_of: returns the factor of a variable's learning rate and decoupled weight decay, at
            least 0; None is 1 for all.
        **options: further arguments of the optimizer, such as `momentum`, `weight_decay`,
            `global_clipnorm` or `use_ema`.

    Returns:
        A `keras.optimizers.Optimizer`.

    Raises:
        InvalidArgumentError: if Keras has no such optimizer or option.

    Example:

    ```python
    optimizer = make_optimizer(
        "SGD", 0.1, momentum=0.9, nesterov=True, l2=1e-4, global_clipnorm=40.0
    )
    ```
    """
    if options.get("gradient_accumulation_steps"):
        raise InvalidArgumentError(
            "`gradient_accumulation_steps` fails under a distribution strategy: use "
            "Learner(model, accumulation=4). "
            f"Received: {options['gradient_accumulation_steps']}",
            argument="gradient_accumulation_steps",
        )
    optimizer_class = _make_subclass(_find_class(name))
    try:
        return optimizer_class(learning_rate, l2=l2, decays=decays, rate_of=rate_of, **options)
    except (TypeError, ValueError) as error:  # of Keras
        raise InvalidArgumentError(
            f"`options` must be arguments of keras.optimizers.{name} ({error}). "
            f"Received: {sorted(options)}",
            argument="options",
        ) from None


def optimizer_names() -> list[str]:
    """Returns the names of the optimizers of Keras."""
    around_others = ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
    return sorted(
        name
        for name, value in vars(keras.optimizers).items()
        if isinstance(value, type)
        and issubclass(value, keras.optimizers.Optimizer)
        and name not in around_others
    )


def has_own_decay(name: str) -> bool:
    """Returns whether an optimizer decays weights by default, as AdamW does."""
    return inspect.signature(_find_class(name)).parameters["weight_decay"].default is not None


def _find_class(name: str) -> type:
    names = optimizer_names()
    for known in names:
        if known.lower() == name.lower():
            return getattr(keras.optimizers, known)
    hint = did_you_mean(name.lower(), (known.lower() for known in names))
    raise InvalidArgumentError(
        f"`name` must be an optimizer of Keras: {', '.join(names)}.{hint} Received: {name!r}",
        argument="name",
    )


@functools.cache
def _make_subclass(base: type) -> type:
    """Returns the subclass of a Keras optimizer that `make_optimizer` describes."""

    class Trained(base):
        weight_decay: float | None

        def __init__(
            self,
            learning_rate: Rate,
            l2: float,
            decays: Callable[[Any], bool] | None,
            rate_of: Callable[[Any], float] | None,
            **options: Any,
        ) -> None:
            super().__init__(learning_rate, **options)
            self._l2 = l2
            self._decay = self.weight_decay
            self._decays = decays or (lambda _: True)
            self._rate_of = rate_of or (lambda _: 1.0)
            self._decayed: dict[int, bool] = {}
            self._factors: dict[int, float] = {}

        def build(self, variables: list[Any]) -> None:
            variables = list(variables)
            self._decayed = {i: self._decays(variable) for i, variable in enumerate(variables)}
            self._factors = {i: self._rate_of(variable) for i, variable in enumerate(variables)}
            super().build(variables)

        def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
            index = self._get_variable_index(variable)
            if self._l2 and self._decayed[index]:
                gradient = gradient + self._l2 * keras.ops.cast(variable, gradient.dtype)
            factor = self._factors[index]
            if factor != 1:
                learning_rate = learning_rate * factor
            super().update_step(gradient, variable, learning_rate)

        def _use_weight_decay(self, variable: Any) -> bool:
            return self._decayed[self._get_variable_index(variable)]

        def _apply_weight_decay(self, variables: list[Any]) -> None:
            if self._decay is None:
                return
            by_factor: dict[float, list[Any]] = {}
            for variable in variables:
                factor = self._factors[self._get_variable_index(variable)]
                by_factor.setdefault(factor, []).append(variable)
            # Devices are threads: another one may change what this one reads.
            for factor, alike in by_factor.items():
                self.weight_decay = self._decay * factor
                super()._apply_weight_decay(alike)
            self.weight_decay = self._decay

        def finalize_variable_values(self, var_list: list[Any]) -> None:
            """Does nothing: Keras would overwrite the weights by their average."""

        if keras.backend.backend() == "tensorflow":
            # Set by a Learner, which sums gradients over devices before loss scaling: otherwise
            # devices could disagree on whether gradients are finite.
            gradients_are_reduced = False

            def _clip_gradients(self, grads: list[Any]) -> list[Any]:
                return grads  # clipped after the sum over devices

            def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> list[Any]:
                pairs = list(grads_and_vars)
                if not self.gradients_are_reduced:
                    pairs = super()._all_reduce_sum_gradients(pairs)
                gradients, variables = zip(*pairs, strict=True)
                clipped = super()._clip_gradients(list(gradients))
                return list(zip(clipped, variables, strict=True))

    Trained.__name__ = Trained.__qualname__ = base.__name__
    return Trained


def average_of_weights(optimizer: keras.optimizers.Optimizer) -> list[tuple[Any, np.ndarray]]:
    """Returns the trained weights, each with its moving average.

    Args:
        optimizer: a Keras optimizer, built.

    Returns:
        Pairs of variable and array; empty without `use_ema`, or before the first step.

    Example:

    ```python
    for variable, average in average_of_weights(learner.optimizer):
        variable.assign(average)
    ```
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not inner.use_ema or int(keras.ops.convert_to_numpy(inner.iterations)) == 0:
        return []
    return [
        (variable, keras.ops.convert_to_numpy(average))
        for variable, average in averaged_weights(inner)
        if average is not None
    ]
