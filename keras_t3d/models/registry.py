"""Named configurations of the network families."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

from keras_t3d.errors import InvalidArgumentError, did_you_mean
from keras_t3d.models.family_arguments import check_call
from keras_t3d.models.published_weights import PublishedWeights, is_weights_name
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.models.weight_names import CheckpointLayout

__all__ = ["create", "list_models", "list_weights"]

P = ParamSpec("P")
M = TypeVar("M", bound=VideoClassifier)


@dataclasses.dataclass(frozen=True)
class Configuration:
    """A named configuration of a family; `build` has the signature of the class."""

    name: str
    family: type[VideoClassifier]
    build: Callable[..., VideoClassifier]
    checkpoint: CheckpointLayout | None
    published: tuple[PublishedWeights, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        """Default of every option."""
        parameters = inspect.signature(self.build).parameters
        return {name: parameter.default for name, parameter in parameters.items()}


_CONFIGURATIONS: dict[str, Configuration] = {}


def register(
    family: Callable[P, M],
    function: str,
    name: str,
    summary: str,
    *,
    checkpoint: CheckpointLayout | None = None,
    published: tuple[PublishedWeights, ...] = (),
    **options: Any,
) -> Callable[P, M]:
    """Registers a configuration of a family, and returns the function that builds it.

    The function has the signature and the documentation of the class, with the configuration's
    options as defaults.

    Args:
        family: class of the network.
        function: name of the function.
        name: name for `create`, and default name of the model.
        summary: first line of the function's documentation.
        checkpoint: layout of the PyTorch checkpoints that fit the configuration.
        published: weights that the option `weights` can name.
        **options: defaults that differ from the class's.

    Raises:
        InvalidArgumentError: if another function has the name.

    Example:

    ```python
    T3D57 = register(T3D, "T3D57", "t3d_57", "T3D of three small blocks.", block_layers=(6, 8, 12))
    ```
    """
    if name in _CONFIGURATIONS and _CONFIGURATIONS[name].build.__name__ != function:
        raise InvalidArgumentError(
            f"`name` must be new, for example {name}_2: {_CONFIGURATIONS[name].build.__name__} is "
            f"registered by it. Received: {name!r}",
            argument="name",
        )
    defaults = {"name": name, **options}

    signature = inspect.signature(family)

    def build(*args: P.args, **kwargs: P.kwargs) -> M:
        check_call(function, signature, args, kwargs)
        given: dict[str, Any] = {**defaults, **kwargs}
        if not is_weights_name(given.get("weights")):
            return family(*args, **given)
        arguments = signature.bind_partial(*args, **given).arguments
        return published_weights(name, arguments.pop("weights")).build(configuration, arguments)

    parameters = [
        parameter.replace(default=defaults.get(key, parameter.default))
        for key, parameter in signature.parameters.items()
    ]
    documentation = inspect.cleandoc(family.__doc__ or "")
    arguments = documentation[documentation.index("Args:") :]
    example = f"model = keras_t3d.models.{function}((16, 112, 112, 3), num_classes=101)"
    build.__name__ = build.__qualname__ = function
    build.__module__ = family.__module__
    build.__doc__ = f"{summary}\n\n{arguments}\n\nExample:\n\n```python\n{example}\n```"
    build.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=parameters, return_annotation=family
    )
    configuration = Configuration(name, family, build, checkpoint, published)  # type: ignore[arg-type]
    _CONFIGURATIONS[name] = configuration
    return build


def configurations() -> Mapping[str, Configuration]:
    """Returns all registered configurations by name."""
    return dict(_CONFIGURATIONS)


def list_models() -> list[str]:
    """Returns the names that `create` accepts.

    Example:

    ```python
    [name for name in keras_t3d.models.list_models() if name.startswith("t3d")]
    ```
    """
    return list(_CONFIGURATIONS)


def list_weights(name: str) -> dict[str, PublishedWeights]:
    """Returns the published weights of a network, by the names that its option `weights` takes.

    Args:
        name: one of `list_models()`.

    Returns:
        Records with the file's URL and SHA-256, license, dataset, preprocessing, mean and std.

    Raises:
        InvalidArgumentError: if there is no such network.

    Example:

    ```python
    keras_t3d.models.list_weights("r3d_18")["kinetics400"].license  # "BSD-3-Clause"
    [name for name in keras_t3d.models.list_models() if keras_t3d.models.list_weights(name)]
    ```
    """
    configuration = find_configuration(name, _CONFIGURATIONS)
    return {weights.name: weights for weights in configuration.published}


def published_weights(name: str, weights: str) -> PublishedWeights:
    """Returns published weights of a network; raises InvalidArgumentError if there are none."""
    configuration = find_configuration(name, _CONFIGURATIONS)
    if weights not in list_weights(name):
        having = [other for other in _CONFIGURATIONS if weights in list_weights(other)]
        elsewhere = (
            f"Weights of this name are published for {', '.join(having)}"
            if having
            else "No network has published weights of this name"
        )
        known = f"one of {list(list_weights(name))}, or " if configuration.published else ""
        raise InvalidArgumentError(
            f"`weights` of {name} must be {known}the path of a .keras model or of a .weights.h5 "
            f"file, for example start.keras. {elsewhere}. Received: {weights!r}",
            argument="weights",
        )
    return list_weights(name)[weights]


def create(
    name: str, input_shape: Sequence[int | None], num_classes: int | None = None, **options: Any
) -> VideoClassifier:
    """Builds a network by name.

    Args:
        name: one of `list_models()`.
        input_shape: (frames, height, width, 3).
        num_classes: number of classes; None with `include_top=False`.
        **options: options of the network, for example `class_names`, `clip_spec`, `dropout`.

    Returns:
        A VideoClassifier.

    Raises:
        InvalidArgumentError: if there is no such name or option, or a value is out of range.

    Example:

    ```python
    model = keras_t3d.models.create("t3d_tiny", (16, 64, 64, 3), num_classes=4)
    ```
    """
    configuration = find_configuration(name, _CONFIGURATIONS)
    for option, value in options.items():
        if option not in configuration.options:
            raise InvalidArgumentError(
                f"{name} has no option `{option}`.{did_you_mean(option, configuration.options)} "
                f"Its options are {list(configuration.options)}. Received: {option}={value!r}",
                argument=option,
            )
    return configuration.build(input_shape, num_classes, **options)


def find_configuration(name: str, among: Mapping[str, Configuration]) -> Configuration:
    """Returns the configuration of a name; raises InvalidArgumentError with the nearest if none."""
    if name not in among:
        raise InvalidArgumentError(
            f"`name` must be one of {list(among)}.{did_you_mean(name, among)} Received: {name!r}",
            argument="name",
        )
    return among[name]
