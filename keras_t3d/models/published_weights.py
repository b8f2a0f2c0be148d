"""Published weights that a network can start from by name: `weights="kinetics400"`.

A family declares them with its configurations, `register(..., published=(...,))`.
"""

from __future__ import annotations

import abc
import dataclasses
import pathlib
import random
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError
from keras_t3d.models.weight_names import (
    NORMALIZATIONS,
    CheckpointLayout,
    ImageSource,
    place_layers,
)
from keras_t3d.weights.fetching import PublishedFile, cache_folder, fetch

if TYPE_CHECKING:
    from keras_t3d.models.registry import Configuration

# Part of the name of converted files. Raise it when those of older versions no longer load.
_CONVERSION = 1


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedWeights(abc.ABC):
    """Weights with a name, and where they come from.

    Args:
        name: value of the option `weights`.
        file: the published file.
        license: its license.
        dataset: what the weights were trained on.
        preprocessing: how the frames of the training were made, in words.
        authors: who published them.

    Example:

    ```python
    weights = keras_t3d.models.list_weights("r3d_18")["kinetics400"]
    print(weights)
    ```
    """

    name: str
    file: PublishedFile
    license: str
    dataset: str
    preprocessing: str
    authors: str

    def __str__(self) -> str:
        digits = f"SHA-256 {self.file.sha256}" if self.file.sha256 else f"MD5 {self.file.md5}"
        return (
            f"{self.name}: {self.file.url} ({digits}), of {self.authors}, license {self.license}; "
            f"trained on {self.dataset}: {self.preprocessing}"
        )

    @property
    @abc.abstractmethod
    def mean(self) -> tuple[float, float, float]:
        """Mean of R, G and B in 0..1 units, for the ClipSpec."""

    @property
    @abc.abstractmethod
    def std(self) -> tuple[float, float, float]:
        """Standard deviation of R, G and B in 0..1 units, for the ClipSpec."""

    @abc.abstractmethod
    def build(self, configuration: Configuration, options: Mapping[str, Any]) -> Any:
        """Returns a network with these weights.

        Args:
            configuration: the network.
            options: its options, without `weights`.
        """


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedCheckpoint(PublishedWeights):
    """A PyTorch checkpoint of the network itself.

    It is converted once, to a `.keras` file in `keras_t3d.weights.fetching.cache_folder()`.

    Args:
        layout: names of its tensors, and the clips it was trained on.
        class_names: returns the names of its classes.
        input_shape: shape of the clips it was trained on.
    """

    layout: CheckpointLayout = dataclasses.field(repr=False)
    class_names: Callable[[], tuple[str, ...]] = dataclasses.field(repr=False)
    input_shape: tuple[int, int, int, int] = (16, 112, 112, 3)

    @property
    def mean(self) -> tuple[float, float, float]:
        return NORMALIZATIONS[self.layout.normalization or ""][0]

    @property
    def std(self) -> tuple[float, float, float]:
        return NORMALIZATIONS[self.layout.normalization or ""][1]

    @property
    def clip_spec(self) -> ClipSpec:
        """The clips that the network was trained on."""
        return dataclasses.replace(
            ClipSpec.for_input_shape(self.input_shape),
            frame_stride=self.layout.frame_stride,
            mean=self.mean,
            std=self.std,
        )

    def build(self, configuration: Configuration, options: Mapping[str, Any]) -> Any:
        options = dict(options)
        if options.get("include_top", True) and options.get("num_classes") is None:
            options["num_classes"] = len(self.class_names())
        return configuration.family(**options, weights=self.converted(configuration))

    def converted(self, configuration: Configuration) -> pathlib.Path:
        """Returns the path of the network as a `.keras` file; fetches and converts it once."""
        digits = (self.file.sha256 or "")[:8]
        stem = f"{configuration.name}-{self.name}-{digits}-{_CONVERSION}"
        target = cache_folder() / f"{stem}.keras"
        if not target.is_file():
            state = random.getstate()  # so that fresh weights do not depend on what is cached
            try:
                self._convert(configuration, fetch(self.file), target)
            finally:
                random.setstate(state)
        return target

    def _convert(
        self, configuration: Configuration, path: pathlib.Path, target: pathlib.Path
    ) -> None:
        from keras_t3d.atomic import written_beside
        from keras_t3d.models.checkpoint_weights import match_weights
        from keras_t3d.weights.checkpoint_file import CheckpointError, read_checkpoint
        from keras_t3d.weights.tensors import group_tensors

        names = self.class_names()
        model = configuration.build(
            self.input_shape,
            len(names),
            class_names=names,
            clip_spec=self.clip_spec,
            dtype="float32",
        )
        layers = group_tensors(read_checkpoint(path))
        paths, unplaced = place_layers(layers, self.layout.layer_names)
        matched = match_weights(model, layers, paths, unplaced)
        if problems := matched.problems():
            raise CheckpointError(
                f"The published weights must fit {configuration.name}: {'; '.join(problems)}. "
                f"Received: {str(path)!r}"
            )
        matched.assign()
        with written_beside(target) as part:
            model.save(part)


@dataclasses.dataclass(frozen=True, kw_only=True)
class PublishedImageNetwork(PublishedWeights):
    """A 2D network, from whose weights the network is inflated.

    Args:
        source: names and pixels of the 2D network.
        load: returns the 2D network, as `keras_t3d.transfer.inflate` accepts it, given the
            published file: `fetch` for the path of a PyTorch checkpoint, for example.
        mode: mode of the inflation.
    """

    source: ImageSource = dataclasses.field(repr=False)
    load: Callable[[PublishedFile], Any] = dataclasses.field(repr=False)
    mode: str = "mean"

    @property
    def mean(self) -> tuple[float, float, float]:
        return self.source.mean

    @property
    def std(self) -> tuple[float, float, float]:
        return self.source.std

    def build(self, configuration: Configuration, options: Mapping[str, Any]) -> Any:
        from keras_t3d.models.inflation import inflate
        from keras_t3d.models.option_checks import checked_input_shape

        options = dict(options)
        clip_spec = options.get("clip_spec")
        if clip_spec is None and "input_shape" in options:
            default = ClipSpec.for_input_shape(checked_input_shape(options["input_shape"]))
            options["clip_spec"] = dataclasses.replace(default, mean=self.mean, std=self.std)
        elif clip_spec is not None and not np.allclose(
            clip_spec.mean, self.mean, rtol=0, atol=1e-6
        ):
            raise InvalidArgumentError(
                f"`clip_spec` must have the mean that {self.name!r} of {configuration.name} was "
                f"trained with: ClipSpec(..., mean={self.mean}, std={self.std}). "
                f"Received: mean={clip_spec.mean}",
                argument="clip_spec",
            )
        model = configuration.family(**options)
        inflate(model, self.load(self.file), self.mode)
        return model


def is_weights_name(weights: Any) -> bool:
    """Returns whether the option `weights` has the form of a name, not of a path."""
    return isinstance(weights, str) and re.fullmatch(r"[\w-]+", weights) is not None
