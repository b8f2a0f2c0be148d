"""The base class of all networks: a Keras model with a ClipSpec and class names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import keras

from keras_t3d.artifact_files import is_on_hub
from keras_t3d.clips import ClipSpec
from keras_t3d.layers.operations.known_sizes import with_known_sizes
from keras_t3d.layers.trainable_flags import copy_trainable_flags
from keras_t3d.models.class_names import checked_class_names, listed_class_names
from keras_t3d.models.classification_loss import check_loss, default_loss
from keras_t3d.models.clonable import ClonableModel
from keras_t3d.models.copied_weights import copy_weights
from keras_t3d.models.feature_model import feature_model
from keras_t3d.models.option_checks import checked_clip_spec
from keras_t3d.models.outputs import (
    OutputsAre,
    check_one_class_of_many,
    check_outputs_are,
    find_outputs,
    only_one,
)
from keras_t3d.optimization.loss_scaling import with_loss_scaling
from keras_t3d.optimization.padding import PaddingAware

__all__ = ["VideoClassifier"]


@keras.saving.register_keras_serializable(package="keras_t3d")
class VideoClassifier(PaddingAware, ClonableModel):
    """A functional Keras model that carries its ClipSpec and class names.

    It reads RGB clips with values 0..255, uint8 or float, of shape
    `(batch, frames, height, width, 3)`, and returns logits or probabilities of shape
    `(batch, classes)`. `fit`, `save("x.keras")` and `keras.saving.load_model` work as for any Keras
    model; the file includes ClipSpec and class names.

    Built without its classifying layer (`include_top=False`), a network returns features and has
    no class names.

    Use it directly for a network of your own, whose first layer should be a `ClipNormalization`,
    and the layer before the classifying one should be named `"embedding"`.

    Args:
        inputs: Keras input, from `keras.Input`, float32; or a list of one, as `model.inputs` is.
        outputs: Keras tensor, or a list of one: logits or probabilities of shape
            `(batch, classes)`, or features.
        clip_spec: ClipSpec of the input's shape; None derives it from that shape.
        class_names: one name per class, in the order of the logits; None names them `"class_0"`
            and so on; empty if the outputs are features.
        stages: names of layers by the name of the stage that each one ends, for `feature_model`.
        name: name of the model.
        dtype: dtype policy of the model; its layers have their own. `compile` scales the loss if
            one of them is `mixed_float16`. None is Keras's global policy.
        outputs_are: what the outputs are: `"logits"` or `"probabilities"` of one class of many, or
            `"scores"` of several labels or of one. None finds out, see `outputs_are` below.

    Raises:
        InvalidArgumentError: if ClipSpec, class names or `outputs_are` do not fit the network.

    Example:

    ```python
    inputs = keras.Input((8, 32, 32, 3))
    x = keras_t3d.layers.ClipNormalization()(inputs)
    x = keras.layers.Conv3D(8, 3, activation="relu")(x)
    x = keras.layers.GlobalAveragePooling3D(name="embedding")(x)
    outputs = keras.layers.Dense(2)(x)
    model = keras_t3d.models.VideoClassifier(inputs, outputs, class_names=["run", "walk"])
    ```
    """

    def __init__(
        self,
        inputs: Any,
        outputs: Any,
        clip_spec: ClipSpec | None = None,
        class_names: Iterable[str] | None = None,
        stages: Mapping[str, str] | None = None,
        name: str | None = None,
        dtype: Any = None,
        outputs_are: OutputsAre | None = None,
        **kwargs: Any,
    ) -> None:
        inputs = only_one("inputs", inputs)
        outputs = only_one("outputs", outputs)
        super().__init__(inputs=inputs, outputs=outputs, name=name, **kwargs)
        # Once: a later network on these tensors has arguments of its own.
        source = vars(outputs).pop("cloned_from", None)
        if source is not None:
            clip_spec, class_names, stages = source.clip_spec, source.class_names, source.stages
            dtype, outputs_are = source.dtype_policy, source.declared_outputs
        self.dtype_policy = keras.dtype_policies.get(dtype)
        class_names = listed_class_names(class_names)
        features_only = class_names is not None and len(class_names) == 0
        self._num_classes = 0 if features_only else outputs.shape[-1]
        self._clip_shape = tuple(inputs.shape[1:])
        self.clip_spec = clip_spec
        self.class_names = class_names
        self.stages = dict(stages or {})
        self.outputs_are = outputs_are
        if source is not None:
            copy_trainable_flags(source, self)

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs; clips of unknown static sizes take those of the model's input."""
        sizes = self.inputs[0].shape[1:]
        inputs = keras.tree.map_structure(lambda clips: with_known_sizes(clips, sizes), inputs)
        return super().__call__(inputs, *args, **kwargs)

    @property
    def num_classes(self) -> int:
        """Number of classes, 0 for a network without its classifying layer."""
        return self._num_classes

    @property
    def clip_spec(self) -> ClipSpec:
        """The clips that the network reads. It may be replaced by one of the same input shape."""
        return self._clip_spec

    @clip_spec.setter
    def clip_spec(self, clip_spec: ClipSpec | None) -> None:
        self._clip_spec = checked_clip_spec(clip_spec, self._clip_shape)

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name per class, in the order of the logits. They may be replaced by as many."""
        return self._class_names

    @class_names.setter
    def class_names(self, class_names: Iterable[str] | None) -> None:
        self._class_names = checked_class_names(class_names, self.num_classes)

    @property
    def outputs_are(self) -> OutputsAre | None:
        """What the outputs are: as declared, else as the end of the network computes them.

        None if that does not tell, as with a layer of your own; predictors and exports then ask
        you to declare it, for example `model.outputs_are = "logits"`.
        """
        return self.declared_outputs or find_outputs(self)

    @outputs_are.setter
    def outputs_are(self, outputs_are: OutputsAre | None) -> None:
        if outputs_are is not None:
            check_outputs_are(self, outputs_are)
        self.declared_outputs = outputs_are

    def check_classifies(self) -> OutputsAre:
        """Returns whether the outputs are logits or probabilities of one class of many.

        Raises:
            InvalidArgumentError: if they are features, as of a student, scores of labels, or a
                single score, or if it cannot be told.
        """
        return check_one_class_of_many(self.name, self.num_classes, self.outputs_are)

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = "auto",
        loss_weights: Any = None,
        metrics: Any = "auto",
        **kwargs: Any,
    ) -> None:
        """Configures the model for training, as `keras.Model.compile` does.

        Args:
            optimizer: Keras optimizer. It scales the loss if layers compute in float16, as Keras
                does under a global policy; not with `auto_scale_loss=False`.
            loss: Keras loss of what the model returns. `"auto"` is the cross-entropy, for class
                ids as for one-hot labels; None for a network without classes.
            loss_weights: as for `keras.Model.compile`.
            metrics: Keras metrics. `"auto"` is the accuracy if `loss` is `"auto"`, else none.
            **kwargs: further arguments of `keras.Model.compile`.

        Raises:
            InvalidArgumentError: if the loss would read logits as probabilities or the reverse, or
                if `loss` is left out for scores of several labels.

        Example:

        ```python
        model = keras_t3d.models.T3DTiny((16, 64, 64, 3), num_classes=2)
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9))
        ```
        """
        is_auto = isinstance(loss, str) and loss == "auto"
        if is_auto:
            loss = default_loss(self.name, self.outputs_are) if self.class_names else None
        elif self.class_names:
            check_loss(loss, find_outputs(self), self.declared_outputs)
        if isinstance(metrics, str) and metrics == "auto":
            metrics = ["accuracy"] if is_auto and self.class_names else None
        if kwargs.get("auto_scale_loss", True):
            optimizer = with_loss_scaling(optimizer, self)
        super().compile(optimizer, loss, loss_weights, metrics, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles a loaded model as the saved one was; Keras skips models with a `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Saves the model, as `keras.Model.save` does; at `hf://user/name`, with a model card.

        Args:
            filepath: path of the `.keras` file, or address of a repository of the Hugging Face
                Hub; see `push_to_hub` for a card with license, data and accuracy.
            overwrite: whether to replace a file without asking.
            **kwargs: further arguments of `keras.Model.save`.

        Example:

        ```python
        model.save("new.keras")
        ```
        """
        if is_on_hub(filepath):
            from keras_t3d.hub.repository import push_to_hub

            push_to_hub(self, str(filepath))
        else:
            super().save(filepath, overwrite, **kwargs)

    def feature_model(self, *layer_names: str) -> keras.Model:
        """Returns a model that maps clips to features and shares this model's weights.

        Args:
            *layer_names: names of stages (`model.stages`) or layers; without any, the embedding
                that the classifying layer reads.

        Returns:
            A `keras.Model` with one output, or a list of outputs for several names.

        Raises:
            InvalidArgumentError: if a name is neither a stage nor a layer.

        Example:

        ```python
        model = keras_t3d.models.ResNet3D18((8, 32, 32, 3), num_classes=2)
        clips = np.zeros((1, 8, 32, 32, 3), "uint8")
        embedding = model.feature_model()(clips)  # (batch, width)
        coarse, fine = model.feature_model("stage2", "stage1")(clips)
        ```
        """
        return feature_model(self, layer_names)

    def copy_weights_from(self, other: VideoClassifier) -> list[str]:
        """Copies the weights of a network of the same kind, all but the head if classes differ.

        Args:
            other: VideoClassifier with layers of the same names and shapes, for example one
                trained on other classes.

        Returns:
            Names of the layers that keep their own weights: the classifying layer if the classes
            differ, else none.

        Raises:
            InvalidArgumentError: if another layer differs, or mean or std of the ClipSpecs.

        Example:

        ```python
        kinetics = keras_t3d.models.T3DTiny((16, 64, 64, 3), num_classes=400)
        model = keras_t3d.models.T3DTiny((16, 64, 64, 3), num_classes=2)
        model.copy_weights_from(kinetics)  # ["logits"]
        ```
        """
        return copy_weights(other, self)

    def get_config(self) -> dict[str, Any]:
        network = keras.Model(self.inputs[0], self.outputs[0], name=self.name)
        return {
            "network": keras.saving.serialize_keras_object(network),
            "clip_spec": self.clip_spec.get_config(),
            "class_names": list(self.class_names),
            "stages": self.stages,
            "name": self.name,
            "trainable": self.trainable,
            "dtype": keras.dtype_policies.serialize(self.dtype_policy),
            "outputs_are": self.declared_outputs,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VideoClassifier:
        config = {**config, "clip_spec": ClipSpec.from_config(config["clip_spec"])}
        network = keras.saving.deserialize_keras_object(
            config.pop("network"), custom_objects=custom_objects
        )
        return cls(network.inputs[0], network.outputs[0], **config)
