"""Finds the function that computes a layer, in the rule tables of lowering and folding.

Models and composite layers need no rule: they are computed from their layers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import keras

from keras_t3d.deploy.convolution import computed
from keras_t3d.models.composition import Join, composition
from keras_t3d.private_interfaces import is_functional


def find_rule(
    layer: Any,
    rules: Mapping[type[Any], Callable[..., Any]],
    apply: Callable[..., Any],
    make_join: Callable[[], Join] = lambda: tuple,
) -> Callable[..., Any] | None:
    """Returns a function from a layer's inputs to its output, or None if there is no rule.

    Subclasses do not match, as they may compute something else.

    Args:
        layer: Keras layer or operation.
        rules: functions `rule(layer, *inputs)` by class of layer.
        apply: as for `composition`.
        make_join: as for `composition`.
    """
    rule = rules.get(type(layer))
    if rule is None:
        compose = composition(layer, apply, make_join)
        if compose is None or is_functional(layer):
            return compose
        return lambda *inputs: compose(*computed(inputs))
    if isinstance(layer, keras.layers.BatchNormalization):  # folds into a pending convolution
        return functools.partial(rule, layer)
    return lambda *inputs: rule(layer, *computed(inputs))
