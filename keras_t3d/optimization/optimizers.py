"""Any Keras optimizer, with rates and decay by variable and clipping over all devices."""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import keras

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

    It differs from Keras's own of that name in what Keras gets wrong or leaves out:

    - gradients are clipped after those of all devices are added up, and not on each
      device by itself;
    - `l2` adds `l2 * weight` to the gradient, the "weight decay" of the papers and of
      PyTorch's SGD, which runs through the momentum. `weight_decay`, Keras's own, is
      decoupled: it takes `learning_rate * weight_decay * weight` off the weight, with
      momentum 0.9 a tenth as much at the same number;
    - learning rates by variable;
    - with `use_ema` the end of `fit` leaves the weights as they are: see `average_of_weights`.

    Args:
        name: str. A class of `keras.optimizers`, in any case: `"SGD"`, `"adamw"`, ...
        learning_rate: float or `LearningRateSchedule`.
        l2: float. Defaults to `0.0`.
        decays: function of a variable, whether `l2` and `weight_decay` act on it.
            Defaults to `None`, all.
        rate_of: function of a variable that gives its factor to the learning rate, from
            0 up. Scales its decoupled weight decay, too. Defaults to `None`, 1 for all.
        **options: further arguments of that optimizer, such as `momentum`,
            `weight_decay`, `global_clipnorm` or `use_ema`.

    Returns:
        A `keras.optimizers.Optimizer`.

    Raises:
        ValueError: if Keras knows no such optimizer, or it refuses an option.

    Example:

    ```python
    optimizer = make_optimizer(
        "SGD", 0.1, momentum=0.9, nesterov=True, l2=1e-4, global_clipnorm=40.0
    )
    ```
    """
    if options.get("gradient_accumulation_steps"):
        raise ValueError(
            "`gradient_accumulation_steps` of Keras fails under a distribution strategy: use "
            "Learner(model, accumulation=4). "
            f"Received: {options['gradient_accumulation_steps']}"
        )
    try:
        return _trained_with(_found(name))(
            learning_rate, l2=l2, decays=decays, rate_of=rate_of, **options
        )
    except TypeError as error:
        raise ValueError(
            f"keras.optimizers.{name} has no such option ({error}). Received: {sorted(options)}"
        ) from None


def optimizer_names() -> list[str]:
    """Returns the optimizers that Keras offers."""
    around_others = ("Optimizer", "LossScaleOptimizer", "MultiOptimizer")
    return sorted(
        name
        for name, value in vars(keras.optimizers).items()
        if isinstance(value, type)
        and issubclass(value, keras.optimizers.Optimizer)
        and name not in around_others
    )


def has_own_decay(name: str) -> bool:
    """Whether an optimizer decays weights unless it is told not to, as AdamW does."""
    return inspect.signature(_found(name)).parameters["weight_decay"].default is not None


def _found(name: str) -> type:
    names = optimizer_names()
    for known in names:
        if known.lower() == name.lower():
            return getattr(keras.optimizers, known)
    close = difflib.get_close_matches(name.lower(), [known.lower() for known in names], n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    raise ValueError(f"Keras has no such optimizer.{hint} It has {names}. Received: {name!r}")


@functools.cache
def _trained_with(base: type) -> type:
    """A subclass of a Keras optimizer with what `make_optimizer` promises."""

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
            # Devices are threads here: what this one reads, another may just have changed.
            for factor, alike in by_factor.items():
                self.weight_decay = self._decay * factor
                super()._apply_weight_decay(alike)
            self.weight_decay = self._decay

        def finalize_variable_values(self, var_list: list[Any]) -> None:
            """Leaves the weights as they are."""

        if keras.backend.backend() == "tensorflow":
            # Set by a Learner, which adds the devices' gradients up before loss scaling looks
            # at them: else the devices could disagree on whether they are finite.
            gradients_are_reduced = False

            def _clip_gradients(self, grads: list[Any]) -> list[Any]:
                return grads  # not yet: these may be one device's

            def _all_reduce_sum_gradients(self, grads_and_vars: Any) -> list[Any]:
                pairs = list(grads_and_vars)
                if not self.gradients_are_reduced:
                    pairs = super()._all_reduce_sum_gradients(pairs)
                gradients, variables = zip(*pairs, strict=True)
                clipped = super()._clip_gradients(list(gradients))
                return list(zip(clipped, variables, strict=True))

    Trained.__name__ = Trained.__qualname__ = base.__name__
    return Trained
