"""The base class of network families: networks that are built from options."""

from __future__ import annotations

import inspect
import os
from collections.abc import Collection, Iterator, Mapping
from typing import Any, ClassVar

from keras_t3d.clips import ClipSpec
from keras_t3d.layers.configuration import as_plain
from keras_t3d.layers.trainable_flags import set_trainable_flags, trainable_flags
from keras_t3d.models.adapted_layers import adapt_layers, describe_adapted_layers
from keras_t3d.models.family_arguments import check_call
from keras_t3d.models.options import ClassifierOptions, document_options
from keras_t3d.models.video_classifier import VideoClassifier
from keras_t3d.models.weight_names import ImageSource, Layers, weights_by_layer


class NetworkFamily(VideoClassifier):
    """Base class of network families: shared options, config, weights to start from.

    A family is one file: a subclass whose `__init__` lists its own options and builds the layers
    between input and head, its named configurations (`registry.register`), and the names of its
    layers in published weights (`CheckpointLayout`, `ImageSource`).

    ```
    options.open_graph() -> clips -> the family's layers -> x -> super().__init__(...)
    ```

    Args:
        options: the options that all families have.
        inputs: input of the network, from `options.open_graph`.
        x: feature map, which the head reads.
        stages: names of layers by the name of the stage that each one ends, for `feature_model`.
        config: the family's own options by name, for example `locals()` of its `__init__`; names
            that are not in its signature are left out.

    Example:

    ```python
    @keras.saving.register_keras_serializable(package="mine")
    class TinyNetwork(NetworkFamily):
        def __init__(self, input_shape, num_classes=None, *, filters=8, **options):
            shared = ClassifierOptions(input_shape, num_classes, **options)
            inputs, x = shared.open_graph()
            x = ClipConv3D(filters, 3, dtype=shared.dtype, name="conv")(x)
            super().__init__(shared, inputs, x, {"conv": "conv"}, {"filters": filters})
    ```
    """

    image_sources: ClassVar[tuple[ImageSource, ...]] = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "__init__" in vars(cls):
            parent = cls.mro()[1]
            document_options(cls, ClassifierOptions if parent is NetworkFamily else parent)
        super().__init_subclass__(**kwargs)

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        network = super().__new__(cls, *args, **kwargs)
        # Keras also makes instances without arguments, and clones are of another class.
        if (args or kwargs) and isinstance(network, cls):
            check_call(cls.__name__, inspect.signature(cls), args, kwargs)
        return network

    def __init__(
        self,
        options: ClassifierOptions,
        inputs: Any,
        x: Any,
        stages: Mapping[str, str],
        config: Mapping[str, Any],
    ) -> None:
        super().__init__(
            inputs,
            options.close_graph(x),
            options.clip_spec,
            class_names=options.class_names if options.include_top else (),
            stages=stages,
            name=options.name,
            dtype=options.dtype,
        )
        names = inspect.signature(type(self)).parameters.keys() - vars(options).keys()
        own = {name: as_plain(value) for name, value in config.items() if name in names}
        self.config = {**options.get_config(), **own}
        if options.start is not None:
            self.copy_weights_from(options.start)
        elif options.weights is not None:
            self.load_weights(os.fspath(options.weights))

    def get_config(self) -> dict[str, Any]:
        return {
            **self.config,
            "clip_spec": self.clip_spec.get_config(),
            "class_names": list(self.class_names) or None,
            "name": self.name,
            "trainable": self.trainable,
            "inner_trainable": trainable_flags(self),
            "adapted_layers": describe_adapted_layers(self),
            **({} if self.declared_outputs is None else {"outputs_are": self.declared_outputs}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> NetworkFamily:
        options = {**config, "clip_spec": ClipSpec.from_config(config["clip_spec"])}
        trainable = options.pop("trainable", True)
        inner_trainable = options.pop("inner_trainable", {})
        outputs_are = options.pop("outputs_are", None)
        adapted_layers = options.pop("adapted_layers", {})
        network = cls(**options)
        network.trainable = trainable
        set_trainable_flags(network, inner_trainable)
        adapt_layers(network, adapted_layers)
        network.outputs_are = outputs_are
        return network

    @classmethod
    def infer_options(cls, layers: Layers) -> dict[str, Any]:
        """Returns the options that the weights of a network imply, such as its depth.

        Args:
            layers: weights of this family's network or of its 2D counterpart, by our paths.
        """
        raise NotImplementedError(f"{cls.__name__} has no named weights to start from")

    def inflatable_layers(self, source: Layers) -> list[str]:
        """Returns the paths of the layers that take the weights of a 2D network.

        Args:
            source: weights of the 2D network by our paths.
        """
        return [
            path
            for path, weights in weights_by_layer(self).items()
            if "gamma" in weights or ("kernel" in weights and len(weights["kernel"].shape) == 5)
        ]

    def adapt_image_weights(self, path: str, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """Returns the 2D weights of a layer in the channels of this network."""
        return weights

    def inflation_notes(self, inflated: Collection[str]) -> Iterator[str]:
        """Yields a sentence for each reason why features differ from the 2D network's.

        Args:
            inflated: paths of the layers that took 2D weights.
        """
        stem = (self.config.get(name) or () for name in ("stem_stride", "stem_pool_stride"))
        strides = [tuple(stride)[1:] for stride in stem]
        if strides != [(2, 2), (2, 2)]:
            yield "the stem has other strides than the 2D network's: all features differ."
        if self.config.get("stc"):
            yield "the STC blocks are fresh, and scale the features."
