"""The 2D network that teaches: frozen, one frame at a time, through its own preprocessing."""

from __future__ import annotations

import hashlib
import json
import os
import types
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_t3d.private_interfaces import flatten_layers

PREPROCESSINGS = ("none", "zero_one", "tf", "torch", "caffe")


class FrameTeacher(keras.layers.Layer):
    """Gives the features of a clip's frames, averaged over the clip.

    The network is frozen, and always runs in inference mode: none of its weights and
    statistics ever changes. Frames pass it one time step after the other, in float32 unless
    the network was built otherwise, so memory is that of one frame a clip.

    Args:
        network: keras.Model from images `(batch, height, width, 3)` to features, of shape
            `(batch, features)`, or `(batch, height, width, features)`, whose mean over places
            is taken. It is frozen in place.
        preprocessing: what the network expects of RGB frames with values 0..255: `"none"`,
            as they are, `"zero_one"`, divided by 255, `"tf"`, `"torch"` or `"caffe"`, see
            `keras.applications.imagenet_utils.preprocess_input`; or a function of such
            frames, as the `preprocess_input` of a network of `keras.applications`.
        image_size: int. Height and width that frames are resized to. Defaults to `None`:
            what the network's input says, or else the frames' own.

    Raises:
        ValueError: if the network or an argument is not of this kind.

    Example:

    ```python
    network = keras.applications.DenseNet121(include_top=False, pooling="avg")
    teacher = FrameTeacher(network, "torch")
    teacher(clips)  # (batch, 1024)
    ```
    """

    def __init__(
        self,
        network: keras.Model,
        preprocessing: str | Callable[[Any], Any],
        image_size: int | None = None,
    ) -> None:
        super().__init__(name="teacher", dtype="float32")
        _check_network(network)
        if not callable(preprocessing) and preprocessing not in PREPROCESSINGS:
            raise ValueError(
                f"FrameTeacher: `preprocessing` must be a function or one of {PREPROCESSINGS}, as "
                f"the network was trained. Received: preprocessing={preprocessing!r}"
            )
        if image_size is not None and (not isinstance(image_size, int) or image_size < 1):
            raise ValueError(
                "FrameTeacher: `image_size` must be a number of pixels, for example 224. "
                f"Received: image_size={image_size!r}"
            )
        self.network = network
        self.preprocessing = preprocessing
        self.image_size = image_size
        self.trainable = False

    @property
    def width(self) -> int:
        """Number of features."""
        return self.network.output_shape[-1]

    def call(self, clips: Any) -> Any:
        """Returns the averaged features of clips: float32 of shape `(batch, width)`."""
        by_time = ops.moveaxis(clips, 1, 0)
        features = ops.map(self.frame_features, by_time)
        return ops.stop_gradient(ops.mean(features, axis=0))

    def compute_output_shape(self, input_shape: Any) -> tuple[int | None, int]:
        return input_shape[0], self.width

    def frame_features(self, frames: Any) -> Any:
        """Returns the features of single frames.

        Args:
            frames: RGB of shape `(frames, height, width, 3)` with values 0..255.

        Returns:
            float32 of shape `(frames, width)`.
        """
        frames = ops.cast(frames, "float32")
        size = self._size()
        if size is not None and tuple(frames.shape[1:3]) != size:
            frames = ops.image.resize(frames, size, interpolation="bilinear", antialias=True)
        features = self.network(self._preprocess(frames), training=False)
        if len(features.shape) == 4:
            features = ops.mean(ops.cast(features, "float32"), axis=(1, 2))
        return ops.cast(features, "float32")

    def fingerprint(self) -> str:
        """Returns a checksum of all that the features follow from: network, weights, preprocessing.

        Names of layers do not count, and what a preprocessing function does counts, not its name.
        """
        found = hashlib.sha256(_architecture(self.network).encode())
        for weight in self.network.weights:  # not the seeds of dropout, which never runs
            values = np.ascontiguousarray(ops.convert_to_numpy(weight))
            found.update(f"{values.shape} {values.dtype}".encode() + values.tobytes())
        # Every level in each channel, and no two channels alike.
        steps = np.arange(256)[:, None] * [1, 3, 7] % 256
        levels = steps.reshape(1, 16, 16, 3).astype(np.float32)
        seen = ops.convert_to_numpy(self._preprocess(ops.convert_to_tensor(levels)))
        found.update(np.round(np.asarray(seen, np.float64), 3).tobytes())
        found.update(str(self._size()).encode())
        return found.hexdigest()

    def _size(self) -> tuple[int, int] | None:
        if self.image_size is not None:
            return self.image_size, self.image_size
        height, width = self.network.input_shape[1:3]
        return (height, width) if height and width else None

    def _preprocess(self, frames: Any) -> Any:
        if callable(self.preprocessing):
            return self.preprocessing(frames)
        if self.preprocessing == "none":
            return frames
        if self.preprocessing == "zero_one":
            return frames / 255.0
        return keras.applications.imagenet_utils.preprocess_input(frames, mode=self.preprocessing)


def load_teacher(
    name_or_path: str | os.PathLike[str],
    weights: str | os.PathLike[str] | None = "imagenet",
    preprocessing: str = "auto",
    image_size: int | None = None,
) -> FrameTeacher:
    """Makes a teacher of a network of Keras Applications, or of a saved 2D model.

    Args:
        name_or_path: name of a network in `keras.applications`, such as `"DenseNet121"`, or
            path of a 2D Keras model. A dense layer at the end of a saved model, which tells
            classes apart, is left out.
        weights: for a network of `keras.applications`: `"imagenet"`, which are downloaded once,
            the path of a weights file without the classifying layer, or None for random ones.
            Defaults to `"imagenet"`.
        preprocessing: see `FrameTeacher`; `"auto"` takes the network's own in
            `keras.applications`. A saved model needs it named. Defaults to `"auto"`.
        image_size: see `FrameTeacher`. Defaults to `None`.

    Returns:
        A FrameTeacher.

    Raises:
        ValueError: if there is no such network or file, or the preprocessing is not known.

    Example:

    ```python
    teacher = load_teacher("DenseNet121", weights="densenet121_notop.h5")
    teacher = load_teacher("stills.keras", preprocessing="zero_one")
    ```
    """
    name = os.fspath(name_or_path)
    if not name.endswith((".keras", ".h5")):
        network, own = _application(name, weights, image_size)
        return FrameTeacher(network, own if preprocessing == "auto" else preprocessing, image_size)
    if preprocessing == "auto":
        raise ValueError(
            "A saved teacher does not say what it expects of frames: name its preprocessing, one "
            f"of {', '.join(PREPROCESSINGS)}. Received: preprocessing='auto' for {name}"
        )
    if not os.path.isfile(name):
        raise ValueError(f"The teacher must be a saved Keras model. Received: {name}, no file")
    network = keras.saving.load_model(name, compile=False)
    return FrameTeacher(_without_classes(network), preprocessing, image_size)


def _application(
    name: str, weights: str | os.PathLike[str] | None, image_size: int | None
) -> tuple[keras.Model, Callable[[Any], Any]]:
    build = getattr(keras.applications, name, None)
    if not isinstance(build, types.FunctionType):
        known = [key for key, value in vars(keras.applications).items() if callable(value)]
        raise ValueError(
            "The teacher must be a network of keras.applications, one of "
            f"{', '.join(sorted(known))}, or the path of a .keras model. Received: {name!r}"
        )
    if weights is not None and weights != "imagenet" and not os.path.isfile(weights):
        raise ValueError(
            "The teacher's weights must be imagenet, none, or a file of weights without the "
            f"classifying layer. Received: {weights}"
        )
    options = {} if image_size is None else {"input_shape": (image_size, image_size, 3)}
    path = None if weights is None else os.fspath(weights)
    network = build(include_top=False, pooling="avg", weights=path, **options)
    family = getattr(keras.applications, build.__module__.rpartition(".")[2])
    return network, family.preprocess_input


def _without_classes(network: Any) -> keras.Model:
    """The network up to its last dense layer, if nothing but an activation follows."""
    _check_network(network)
    activations = (keras.layers.Activation, keras.layers.Softmax)
    layers = list(network.layers)
    while isinstance(layers[-1], activations) and len(layers) > 1:
        layers.pop()
    if not isinstance(layers[-1], keras.layers.Dense):
        return network
    return keras.Model(network.inputs, layers[-1].input, name=network.name)


def _architecture(network: keras.Model) -> str:
    """The network's configuration; the names of its layers, which Keras counts up, by number."""
    try:
        text = network.to_json()
    except NotImplementedError:  # a class of the user's without get_config
        return type(network).__qualname__
    layers = [network, *flatten_layers(network, include_self=False)]
    for number, name in enumerate(dict.fromkeys(layer.name for layer in layers)):
        text = text.replace(json.dumps(name), f'"layer {number}"')
    return text


def _check_network(network: Any) -> None:
    shapes = (network.input_shape, network.output_shape) if _is_single(network) else None
    if (
        shapes is None
        or len(shapes[0]) != 4
        or shapes[0][-1] != 3
        or len(shapes[1]) not in (2, 4)
        or shapes[1][-1] is None
    ):
        raise ValueError(
            "FrameTeacher: `network` must be a Keras model from images (batch, height, width, 3) "
            "to features (batch, features), for example keras.applications.DenseNet121("
            f"include_top=False, pooling='avg'). Received: {network!r}"
            + (f" from {shapes[0]} to {shapes[1]}" if shapes else "")
        )


def _is_single(network: Any) -> bool:
    """Whether it is a built Keras model with one input and one output."""
    return (
        isinstance(network, keras.Model)
        and isinstance(getattr(network, "input_shape", None), tuple)
        and isinstance(getattr(network, "output_shape", None), tuple)
    )
