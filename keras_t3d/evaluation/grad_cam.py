"""Where in a clip a network finds the evidence for a class."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, get_args

import keras
import numpy as np
from keras import ops

from keras_t3d.clips import ClipSpec
from keras_t3d.errors import InvalidArgumentError, check_argument, did_you_mean
from keras_t3d.evaluation.heat_overlay import stretch
from keras_t3d.evaluation.options import HeatMethod
from keras_t3d.inference.compiled_model import compiled_function
from keras_t3d.inference.load import load_layers
from keras_t3d.inference.predictor import validate_clips
from keras_t3d.layers.operations.gradient import with_gradient
from keras_t3d.models.video_classifier import VideoClassifier


@dataclasses.dataclass(frozen=True)
class ClipHeat:
    """Where in a clip a network finds the evidence for a class.

    Attributes:
        class_name: the class.
        probability: its probability.
        heat: float32 array (frames, height, width) of the clip's sizes, from 0 to 1 at the
            maximum; all 0 if nothing in the clip speaks for the class.
        over_time: float32 array (frames,), the mean of `heat` in each frame.
    """

    class_name: str
    probability: float
    heat: np.ndarray
    over_time: np.ndarray


def grad_cam(
    model: Any,
    clip: np.ndarray,
    class_name: str | None = None,
    layer: str | None = None,
    method: HeatMethod = "hires_cam",
) -> ClipHeat:
    """Computes where in a clip a network finds the evidence for a class.

    The feature map of a layer is weighed by the gradient of the class's logit, summed over
    channels, and stretched to the clip. `HeatMaps` does it for many clips.

    Args:
        model: VideoClassifier, or path of a `.keras` file or a run directory, whose best model is
            taken.
        clip: uint8 array of shape `clip_spec.input_shape`.
        class_name: class to explain; None is the most probable one.
        layer: stage (`model.stages`) or layer whose feature map is weighed; None is the last
            feature map, after the last convolution. Earlier ones are finer, and less specific to
            the class.
        method: `"hires_cam"` weighs each value by its own gradient, `"grad_cam"` by the mean of
            the channel's gradients. Both are equal for the last feature map before an average pool;
            after `pooling="avg_deviation"`, as of probes, gradients of a channel cancel out in
            their mean.

    Returns:
        A ClipHeat.

    Raises:
        InvalidArgumentError: if the model is exported or does not classify, there is no such class
            or layer, or the clip has another shape.

    Example:

    ```python
    clip = keras_t3d.clips.take_view(np.zeros((40, 48, 64, 3), np.uint8), model.clip_spec)
    found = keras_t3d.evaluation.grad_cam(model, clip)
    found.class_name, found.heat.shape  # e.g. ("bright", (8, 32, 32))
    ```

    Reference:
        Selvaraju et al., "Grad-CAM", 2017, https://arxiv.org/abs/1610.02391; Draelos and Carin,
        "Use HiResCAM instead of Grad-CAM", 2020, https://arxiv.org/abs/2011.08891
    """
    maps = HeatMaps(model, layer, method)
    validate_clips(np.asarray(clip)[None], maps.clip_spec, "clip")
    probabilities, values, index = maps.compute(clip, class_name)
    heat = stretch(values, maps.clip_spec.input_shape[:-1])
    heat /= heat.max() or 1.0
    return ClipHeat(
        maps.class_names[index], float(probabilities[index]), heat, heat.mean(axis=(1, 2))
    )


class HeatMaps:
    """Computes heat of clips, of the sizes of a feature map.

    The weights are those of the first clip: make another one after training.

    Args:
        model: as for `grad_cam`.
        layer: as for `grad_cam`.
        method: as for `grad_cam`.

    Raises:
        InvalidArgumentError: if the model is exported or does not classify, or there is no such
            layer.

    Example:

    ```python
    maps = HeatMaps(model)
    probabilities, heat, index = maps.compute(np.zeros(maps.clip_spec.input_shape, np.uint8))
    ```
    """

    clip_spec: ClipSpec
    class_names: tuple[str, ...]

    def __init__(
        self,
        model: VideoClassifier | str | os.PathLike[str],
        layer: str | None = None,
        method: HeatMethod = "hires_cam",
    ) -> None:
        methods = get_args(HeatMethod)
        check_argument("method", method, method in methods, f"one of {methods}")
        network = load_layers(model)
        outputs_are = network.check_classifies()
        self.clip_spec, self.class_names = network.clip_spec, network.class_names
        features, head = _cut(network, layer)
        self._features_network = features
        self._features = compiled_function(features)

        def classify(features: Any, index: Any) -> tuple[Any, Any]:
            outputs = ops.cast(head(features, training=False)[0], "float32")
            # The logarithm of a probability is the logit, but for what all classes have.
            logits = outputs if outputs_are == "logits" else ops.log(ops.maximum(outputs, 1e-30))
            index = ops.where(index < 0, ops.cast(ops.argmax(logits), "int32"), index)
            return ops.take(logits, index), (ops.softmax(logits), index)

        self._classify = with_gradient(classify)
        self._method = method

    def compute(
        self, clip: np.ndarray, class_name: str | None = None
    ) -> tuple[np.ndarray, np.ndarray, int]:
        """Returns the probabilities of a clip and the heat of a class.

        Args:
            clip: uint8 array of shape `clip_spec.input_shape`.
            class_name: class to explain; None is the most probable one.

        Returns:
            Probabilities, float32 (classes,); heat, float32 (time, height, width) of the feature
            map, 0 or more, in units of the logit; index of the class.
        """
        index = -1 if class_name is None else self._index(class_name)
        features = ops.convert_to_tensor(self._features(validate_clips(clip[None], self.clip_spec)))
        results, gradient = self._classify(features, ops.convert_to_tensor(index, "int32"))
        probabilities, found = map(ops.convert_to_numpy, results)
        values, weights = (
            ops.convert_to_numpy(ops.cast(tensor[0], "float32")) for tensor in (features, gradient)
        )
        if self._method == "grad_cam":
            weights = weights.mean(axis=(0, 1, 2))
        return probabilities, np.maximum((values * weights).sum(axis=-1), 0), int(found)

    def _index(self, class_name: str) -> int:
        if class_name not in self.class_names:
            raise InvalidArgumentError(
                f"`class_name` must be a class of the model, for example {self.class_names[0]!r}."
                f"{did_you_mean(class_name, self.class_names)} Received: {class_name!r}",
                argument="class_name",
            )
        return self.class_names.index(class_name)


def _cut(network: VideoClassifier, layer: str | None) -> tuple[VideoClassifier, keras.Model]:
    """Returns a network from clips to the feature map of a layer, and one from there to outputs."""
    feature_map = _feature_map(network, layer)
    try:
        head = keras.Model(feature_map, network.outputs[0])
    except ValueError:  # Keras: the graph is disconnected
        raise InvalidArgumentError(
            "`layer` must be one that everything after it is computed from, for example the last "
            f"of the stages {list(network.stages)}. Received: {layer!r}",
            argument="layer",
        ) from None
    clip_spec = network.clip_spec
    return VideoClassifier(network.inputs, feature_map, clip_spec, class_names=()), head


def _feature_map(network: VideoClassifier, layer: str | None) -> Any:
    maps = {
        one.name: output
        for one in network.layers
        for output in keras.tree.flatten(one.output)[:1]
        if len(output.shape) == 5 and output is not network.inputs[0]
    }
    if layer is None and maps:
        spread = [output for output in maps.values() if np.prod(_known(output.shape)) > 1]
        return (spread or list(maps.values()))[-1]
    name = network.stages.get(str(layer), layer)
    if name not in maps:
        raise InvalidArgumentError(
            f"`layer` must be a stage or a layer with a feature map. The stages of {network.name} "
            f"are {list(network.stages)}.{did_you_mean(str(layer), [*network.stages, *maps])} "
            f"Received: {layer!r}",
            argument="layer",
        )
    return maps[name]


def _known(shape: Sequence[int | None]) -> list[int]:
    """Returns time, height and width of a feature map, 2 for unknown ones."""
    return [size or 2 for size in shape[1:4]]
