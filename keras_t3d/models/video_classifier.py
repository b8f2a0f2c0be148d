"""The base of every network here: a Keras model that knows what clips it reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from keras_t3d.artifact_files import is_class_name
from keras_t3d.clips import ClipSpec
from keras_t3d.models.parts import EMBEDDING


@keras.saving.register_keras_serializable(package="keras_t3d")
class VideoClassifier(keras.Model):
    """A functional Keras model with its ClipSpec and class names on board.

    Reads RGB clips with values 0..255, uint8 or float, of shape
    `(batch, frames, height, width, 3)`, and returns logits of shape
    `(batch, classes)`. `fit`, `save("x.keras")` and `keras.saving.load_model`
    work as for any Keras model; the file brings the spec and the names along.

    Built without its classifying layer (`include_top=False`) a network returns features,
    and has no class names.

    Use it directly to make a network of your own part of the family: its first
    layer should be a `ClipNormalization`, and the layer before the classifying
    one should be named `"embedding"`.

    Args:
        inputs: keras input, from `keras.Input`, float32.
        outputs: keras tensor of logits, shape `(batch, classes)`, or of features.
        clip_spec: ClipSpec or None. None takes the default spec of the input's
            shape. Defaults to `None`.
        class_names: strings or None. One name a class, in the order of the
            logits; None names them `"class_0"` and so on. Empty if the outputs are
            features. Defaults to `None`.
        stages: dict or None. Layers by the names of the stages that they end, for
            `feature_model`. Defaults to `None`.
        name: str. Name of the model.

    Raises:
        ValueError: if spec or names do not fit the network.

    Example:

    ```python
    inputs = keras.Input((8, 32, 32, 3))
    x = keras_t3d.layers.ClipNormalization()(inputs)
    x = keras.layers.Conv3D(8, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(x)
    model = VideoClassifier(inputs, keras.layers.Dense(2)(x), class_names=["run", "walk"])
    ```
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        clip_spec: ClipSpec | None = None,
        class_names: Sequence[str] | None = None,
        stages: Mapping[str, str] | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        self.clip_spec = checked_spec(clip_spec, tuple(inputs.shape[1:]))
        features_only = class_names is not None and len(class_names) == 0
        self.class_names = (
            () if features_only else _checked_class_names(class_names, outputs.shape[-1])
        )
        self.stages = dict(stages or {})

    @property
    def num_classes(self) -> int:
        """Number of classes, 0 for a network without its classifying layer."""
        return len(self.class_names)

    def check_classifies(self) -> None:
        """Raises a ValueError where the network gives features, as a pretrained student does."""
        if not self.class_names:
            raise ValueError(
                "The network has no classes: train one that starts from it, with `keras-t3d train "
                f"--init student.keras`. Received: {self.name!r}, which gives features"
            )

    def feature_model(self, *layer_names: str) -> keras.Model:
        """Returns a model from the same clips to features, sharing this one's weights.

        Args:
            *layer_names: names of stages (`model.stages`) or layers whose outputs are
                wanted. Defaults to the embedding that the classifying layer reads.

        Returns:
            A `keras.Model` with one output, or a list of outputs for several names.

        Raises:
            ValueError: if there is no stage or layer of a name.

        Example:

        ```python
        embedding = model.feature_model()(clips)  # (batch, width)
        coarse, fine = model.feature_model("block2", "block1")(clips)
        ```
        """
        layers = {layer.name: layer for layer in self.layers}
        names = [self.stages.get(name, name) for name in layer_names or (EMBEDDING,)]
        unknown = [name for name in names if name not in layers]
        if unknown:
            raise ValueError(
                f"{self.name} has no such stage or layer. Its stages are {list(self.stages)}. "
                f"Received: {unknown}"
            )
        outputs = [layers[name].output for name in names]
        return keras.Model(self.inputs[0], outputs[0] if len(outputs) == 1 else outputs)

    def copy_weights_from(self, other: VideoClassifier) -> list[str]:
        """Takes over the weights of a network of the same kind; its head may differ.

        Args:
            other: VideoClassifier with layers of the same names and shapes, for
                example one trained on other classes.

        Returns:
            Names of the layers that keep their own weights: the classifying one if
            the classes differ, else none.

        Raises:
            ValueError: if another layer differs, or `other` normalises its clips otherwise.

        Example:

        ```python
        model.copy_weights_from(keras.saving.load_model("kinetics.keras"))  # ["logits"]
        ```
        """
        _check_same_normalization(self.clip_spec, other.clip_spec)
        theirs = {layer.name: layer for layer in other.layers}
        head = self.layers[-1].name
        # Without classes of its own, a network ends in features, and has no head to keep.
        same_classes = not self.class_names or self.class_names == other.class_names
        copied = [
            layer for layer in self.layers if layer.weights and (layer.name != head or same_classes)
        ]
        for layer in copied:
            if layer.name not in theirs or _shape_of(layer) != _shape_of(theirs[layer.name]):
                raise ValueError(
                    f"The weights of the layer {layer.name!r} do not fit: another network, or "
                    f"other options. Received: {other.name!r} for {self.name!r}"
                )
        for layer in copied:
            layer.set_weights(theirs[layer.name].get_weights())
        return [] if same_classes else [head]

    def get_config(self) -> dict[str, Any]:
        network = keras.Model(self.inputs[0], self.outputs[0], name=self.name)
        return {
            "network": keras.saving.serialize_keras_object(network),
            "clip_spec": self.clip_spec.get_config(),
            "class_names": list(self.class_names),
            "stages": self.stages,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VideoClassifier:
        config = dict(config)
        config["clip_spec"] = ClipSpec.from_config(config["clip_spec"])
        if "network" in config:
            network = keras.saving.deserialize_keras_object(
                config.pop("network"), custom_objects=custom_objects
            )
            config.update(inputs=network.inputs[0], outputs=network.outputs[0])
        elif config.get("dtype") is not None:
            config["dtype"] = keras.dtype_policies.deserialize(config["dtype"])
        return cls(**config)


# What may differ between a layer and the one whose weights it takes.
_FREE = ("name", "dtype", "trainable", "rematerialize", "kernel_initializer")


def _shape_of(layer: Any) -> tuple[Any, ...]:
    """What must be the same for one layer's weights to mean the same in another."""
    config = {key: value for key, value in layer.get_config().items() if key not in _FREE}
    return [weight.shape for weight in layer.weights], config


def _check_same_normalization(mine: ClipSpec, theirs: ClipSpec) -> None:
    if (mine.mean, mine.std) != (theirs.mean, theirs.std):
        raise ValueError(
            "Weights belong to the normalisation they were trained with: build the network with "
            f"clip_spec=ClipSpec(..., mean={theirs.mean}, std={theirs.std}). "
            f"Received: mean={mine.mean}, std={mine.std}"
        )


def checked_spec(clip_spec: ClipSpec | None, shape: tuple[int, ...]) -> ClipSpec:
    """Returns the spec, the default one of the shape for None, or says that it does not fit."""
    spec = ClipSpec.for_input_shape(shape) if clip_spec is None else clip_spec
    if spec.input_shape != shape:
        raise ValueError(
            f"`clip_spec` must describe the clips that the network reads, of shape {shape} "
            f"(frames, height, width, 3). Received: {spec} of shape {spec.input_shape}"
        )
    return spec


def _checked_class_names(names: Sequence[str] | None, num_classes: int) -> tuple[str, ...]:
    if names is None:
        return tuple(f"class_{index}" for index in range(num_classes))
    if isinstance(names, str) or len(names) != num_classes:
        raise ValueError(
            f"`class_names` must be {num_classes} names, one for each class. Received: {names!r}"
        )
    # A name stands on one line of labels.txt; its line is its id.
    bad = [name for name in names if not is_class_name(name)]
    doubled = sorted({name for name in names if list(names).count(name) > 1} - set(bad))
    if bad or doubled:
        raise ValueError(
            "`class_names` must be different, non-empty, single-line strings, "
            f"for example ['run', 'walk']. Received: {(bad or doubled)!r} among them"
        )
    return tuple(names)
